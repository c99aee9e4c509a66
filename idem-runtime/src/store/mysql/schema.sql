-- The tables of idem-runtime's MySqlStore. The store creates them when it is opened; to create them yourself, run this in
-- the same database, and then stuck.sql. Running it again changes nothing. Needs MySQL 8.0 or MariaDB 10.6, and InnoDB
-- pages of 16 KiB or more.
--
-- Times are microseconds since the Unix epoch, by the clock of the server.

-- The version of these tables, so that an older program refuses a newer table instead of misreading it. It comes first:
-- without it, the table below is taken for someone else's.
CREATE TABLE IF NOT EXISTS `idem_keys_schema` (
    id      TINYINT NOT NULL,
    version BIGINT  NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS `idem_keys` (
    scope          VARBINARY(1024)  NOT NULL,  -- the namespace of the key: one handler
    `key`          VARBINARY(1024)  NOT NULL,  -- the encoded idempotency key, compared byte by byte
    state          TINYINT          NOT NULL,  -- 1 running, 2 outcome unknown, 3 kept after an error, 4 free, 5 completed
    owner          BINARY(16)       NOT NULL,  -- who claimed it last
    fence          BIGINT           NOT NULL,  -- the fencing token that was granted last; only ever grows
    until          BIGINT           NOT NULL,  -- when the lease ends (states 1 and 3: the outcome is unknown then), or the ttl (state 5)
    doubt          BIGINT           NULL,      -- the fence of the last holder whose outcome is unknown (state 5: an operator resolved it)
    previous       TINYINT          NOT NULL,  -- what came before this claim: 1 nothing, 2 a failure, 3 a crash
    previous_fence BIGINT           NULL,      -- where it was a crash: the fence of the holder that crashed
    attempt        BIGINT           NOT NULL,  -- how many times the handler has been started
    fingerprint    BINARY(16)       NULL,      -- a digest of what the key stands for
    ended          VARBINARY(64)    NOT NULL,  -- the last owners that released it, newest first: up to four times 16 bytes
    purge_at       BIGINT           NULL,      -- from when on a sweep may delete the row; null: never
    record         LONGBLOB         NULL,      -- the encoded result of a completed key
    PRIMARY KEY (scope, `key`),
    KEY `idem_keys_purge_at` (purge_at)        -- the index that a sweep reads
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

INSERT IGNORE INTO `idem_keys_schema` (id, version) VALUES (1, 1);
