CREATE TABLE IF NOT EXISTS accounts (
    id    text   PRIMARY KEY,
    cents bigint NOT NULL CHECK (cents >= 0)
);

CREATE TABLE IF NOT EXISTS transfers (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sender    text   NOT NULL REFERENCES accounts,
    recipient text   NOT NULL REFERENCES accounts,
    cents     bigint NOT NULL CHECK (cents > 0)
);

INSERT INTO accounts VALUES ('alice', 10000), ('bob', 10000), ('carol', 0) ON CONFLICT DO NOTHING;
