-- The tables of idem-runtime's SqliteStore. The store creates them when it opens a file; to create them yourself, run
-- this against the same file, and then stuck.sql. Running it again changes nothing. Needs SQLite 3.37 or later.
--
-- Times are microseconds since the Unix epoch, by the clock of the machine.

CREATE TABLE IF NOT EXISTS "idem_keys" (
    scope          TEXT    NOT NULL,  -- the namespace of the key: one handler
    key            BLOB    NOT NULL,  -- the encoded idempotency key, compared byte by byte
    state          INTEGER NOT NULL,  -- 1 running, 2 outcome unknown, 3 kept after an error, 4 free, 5 completed
    owner          BLOB    NOT NULL,  -- 16 bytes: who claimed it last
    fence          INTEGER NOT NULL,  -- the fencing token that was granted last; only ever grows
    until          INTEGER NOT NULL,  -- when the lease ends (states 1 and 3: the outcome is unknown then), or the ttl (state 5)
    doubt          INTEGER,           -- the fence of the last holder whose outcome is unknown (state 5: an operator resolved it)
    previous       INTEGER NOT NULL,  -- what came before this claim: 1 nothing, 2 a failure, 3 a crash
    previous_fence INTEGER,           -- where it was a crash: the fence of the holder that crashed
    attempt        INTEGER NOT NULL,  -- how many times the handler has been started
    fingerprint    BLOB,              -- 16 bytes: a digest of what the key stands for
    ended          BLOB    NOT NULL,  -- the last owners that released it, newest first: up to four times 16 bytes
    purge_at       INTEGER,           -- from when on a sweep may delete the row; null: never
    record         BLOB,              -- the encoded result of a completed key
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

-- The index that a sweep reads.
CREATE INDEX IF NOT EXISTS "idem_keys_purge_at" ON "idem_keys" (purge_at) WHERE purge_at IS NOT NULL;

-- The version of these tables, so that an older program refuses a newer table instead of misreading it.
CREATE TABLE IF NOT EXISTS "idem_keys_schema" (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO "idem_keys_schema" (id, version) VALUES (1, 1);
