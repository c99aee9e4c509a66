-- The tables of idem-runtime's PostgresStore. The store creates them when it is opened; to create them yourself, run
-- this in the same schema, and then stuck.sql. Running it again changes nothing. Needs PostgreSQL 12 or later.
--
-- Times are microseconds since the Unix epoch, by the clock of the server.

CREATE TABLE IF NOT EXISTS "idem_keys" (
    scope          text COLLATE "C" NOT NULL,  -- the namespace of the key: one handler
    key            bytea    NOT NULL,  -- the encoded idempotency key, compared byte by byte
    fence          bigint   NOT NULL,  -- the fencing token that was granted last; only ever grows
    until          bigint   NOT NULL,  -- when the lease ends (states 1 and 3: the outcome is unknown then), or the ttl (state 5)
    doubt          bigint,             -- the fence of the last holder whose outcome is unknown (state 5: an operator resolved it)
    previous_fence bigint,             -- where a crash came before this claim: the fence of the holder that crashed
    purge_at       bigint,             -- from when on a sweep may delete the row; null: never
    attempt        integer  NOT NULL,  -- how many times the handler has been started
    state          smallint NOT NULL,  -- 1 running, 2 outcome unknown, 3 kept after an error, 4 free, 5 completed
    previous       smallint NOT NULL,  -- what came before this claim: 1 nothing, 2 a failure, 3 a crash
    awaited        boolean  NOT NULL DEFAULT false,  -- whether a caller waits to be notified of the ending
    owner          bytea    NOT NULL,  -- 16 bytes: who claimed it last
    ended          bytea    NOT NULL,  -- the last owners that released it, newest first: up to four times 16 bytes
    fingerprint    bytea,              -- 16 bytes: a digest of what the key stands for
    record         bytea,              -- the encoded result of a completed key
    PRIMARY KEY (scope, key)
) WITH (fillfactor = 40);              -- room for all completions beside their claims (heap-only updates)

-- The index that a sweep reads.
CREATE INDEX IF NOT EXISTS "idem_keys_purge_at" ON "idem_keys" (purge_at) WHERE purge_at IS NOT NULL;

-- The version of these tables, so that an older program refuses a newer table instead of misreading it.
CREATE TABLE IF NOT EXISTS "idem_keys_schema" (
    id      integer PRIMARY KEY CHECK (id = 1),
    version integer NOT NULL
);
INSERT INTO "idem_keys_schema" (id, version) VALUES (1, 1) ON CONFLICT DO NOTHING;
