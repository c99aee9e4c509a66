CREATE TABLE IF NOT EXISTS accounts (
    id    TEXT    PRIMARY KEY,
    cents INTEGER NOT NULL CHECK (cents >= 0)
) STRICT;

CREATE TABLE IF NOT EXISTS transfers (
    id        INTEGER PRIMARY KEY,
    sender    TEXT    NOT NULL REFERENCES accounts,
    recipient TEXT    NOT NULL REFERENCES accounts,
    cents     INTEGER NOT NULL CHECK (cents > 0)
) STRICT;

INSERT INTO accounts VALUES ('alice', 10000), ('bob', 10000), ('carol', 0) ON CONFLICT DO NOTHING;
