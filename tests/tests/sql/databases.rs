//! The databases, and what differs between them.

/// The types of a database's driver, and connections of the tests' own.
macro_rules! database {
    ($database:ident, $server:ident, $store:ident, $options:ident) => {
        pub(crate) use idem_runtime::$store as Store;
        pub(crate) use idem_tests::server::$server as Server;
        use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};

        pub(crate) use idem_runtime::store::$options as StoreOptions;

        pub(crate) const STORE: &str = stringify!($store);
        pub(crate) const DATABASE: idem_runtime::tx::Database = idem_runtime::tx::Database::$database;
        pub(crate) type Db = sqlx::$database;
        pub(crate) type Pool = sqlx::Pool<Db>;
        pub(crate) type Connection = <Db as sqlx::Database>::Connection;
        pub(crate) type Options = <Connection as sqlx::Connection>::Options;

        pub(crate) async fn open(server: &Server) -> Store {
            Store::open(&server.url()).await.unwrap()
        }

        /// A user's pool, which waits for a connection for three seconds.
        pub(crate) fn pool(connections: u32) -> sqlx::pool::PoolOptions<Db> {
            let pool = sqlx::pool::PoolOptions::new().max_connections(connections);
            pool.acquire_timeout(std::time::Duration::from_secs(3))
        }

        /// A store on a user's pool.
        pub(crate) async fn open_with_pool(server: &Server, connections: u32) -> Store {
            Store::open_with(pool(connections).connect(&server.url()).await.unwrap()).await.unwrap()
        }

        /// A user with a password, and how to connect as that one.
        pub(crate) async fn app(server: &Server) -> impl Fn(&str) -> Options + use<> {
            sql(server, CREATE_OWNER).await;
            ask_for_passwords(server).await;
            let url = server.url();
            move |password| url.replace(ADMIN, &format!("app:{password}@")).parse().unwrap()
        }

        pub(crate) async fn connect(server: &Server) -> Connection {
            Connection::connect(&server.url()).await.unwrap()
        }

        pub(crate) async fn sql(server: &Server, statements: &str) {
            let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
            connect(server).await.execute(statements).await.unwrap();
        }

        /// The number that a query returns, on a new connection: PostgreSQL's connections write their statistics at most once a
        /// second.
        pub(crate) async fn number(server: &Server, query: &str) -> i64 {
            connect(server).await.fetch_one(AssertSqlSafe(query.to_owned())).await.unwrap().get(0)
        }
    };
}

pub(crate) mod postgres {
    pub(crate) const URL: &str = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";
    pub(crate) const WRONG_URLS: &[&str] = &[
        "postgres://user:secret@host:port/db",
        "postgres://user:se cret@[host/db",
        "mysql://user:secret@h/d",
        "user:secret",
    ];

    /// The user that owns the database, as in a URL.
    pub(crate) const ADMIN: &str = "idem@";
    pub(crate) const CREATE_USER: &str = "CREATE ROLE app LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    /// A user that is told that a table is missing.
    pub(crate) const SEES_MISSING: &str = "app@";
    /// Parts of the error for tables that exist, and that the user may not use.
    pub(crate) const NOT_GRANTED: &[&str] =
        &["its tables could not be read", "needs SELECT, INSERT, UPDATE and DELETE"];
    pub(crate) const MISSING: &str = "relation \"idem_keys\" does not exist";

    /// Triggers that refuse to write the key 40, and to complete the key 41.
    pub(crate) const REFUSE: &str = "\
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON idem_keys FOR EACH ROW
        WHEN (NEW.key = '40') EXECUTE FUNCTION refuse();
        CREATE TRIGGER refuse_too BEFORE UPDATE ON idem_keys FOR EACH ROW
        WHEN (NEW.key = '41' AND NEW.state = 5) EXECUTE FUNCTION refuse()";
    pub(crate) const OPEN_TRANSACTIONS: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    pub(crate) const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'postgres'";
    pub(crate) const CONNECTIONS_OF_APP: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";

    /// A user with a password that may create tables.
    const CREATE_OWNER: &str = "CREATE ROLE app LOGIN PASSWORD 'one'; GRANT CREATE ON SCHEMA public TO app";
    pub(crate) const CHANGE_PASSWORD: &str = "ALTER ROLE app PASSWORD 'two'";

    async fn ask_for_passwords(server: &Server) {
        let rules = "host all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
        std::fs::write(server.directory().join("data/pg_hba.conf"), rules).unwrap();
        sql(server, "SELECT pg_reload_conf()").await;
    }

    /// Limits the number of connections of this user.
    pub(crate) fn limit(connections: u32) -> String {
        format!("ALTER ROLE app CONNECTION LIMIT {connections}")
    }

    /// The schema or the database in which the tables are created.
    pub(crate) const HOME: &str = "public";
    /// A table's name that is a reserved word.
    pub(crate) const QUOTED_ORDER: &str = "\"order\"";
    pub(crate) const CREATE_ELSEWHERE: &str = "CREATE SCHEMA elsewhere";
    pub(crate) const GO_ELSEWHERE: &str = "SET search_path TO elsewhere";

    pub(crate) fn elsewhere(options: Options) -> Options {
        options.options([("search_path", "elsewhere")])
    }

    /// Columns, each with a value that a store never writes there.
    pub(crate) const CORRUPTIONS: &[(&str, &str)] =
        &[("state", "9"), ("previous", "7"), ("owner", "'\\x00'"), ("ended", "'\\x00'"), ("fence", "-1")];

    /// The greatest number of round trips for 64 executions, and for 500 messages.
    pub(crate) const MOST_TRIPS: [usize; 2] = [40, 100];

    /// How many of the view's rows have a time at which no key was claimed.
    pub(crate) const SINCE_IS_NO_CLAIM: &str = "\
        SELECT count(*) FROM idem_keys_stuck s WHERE NOT EXISTS (SELECT FROM idem_keys i
        WHERE i.scope = s.scope AND i.fence = (extract(epoch FROM s.since) * 1000000)::bigint)";

    /// A transaction that still sees rows that others delete.
    pub(crate) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM idem_keys";
    /// How often a page of the table or of its indexes was read.
    pub(crate) const PAGES: &str = "\
        SELECT (heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
        FROM pg_statio_user_tables WHERE relname = 'idem_keys'";
    pub(crate) const LOCK_ONE: &str = "BEGIN; SELECT FROM idem_keys WHERE purge_at = 1 FOR UPDATE LIMIT 1";

    /// Inserts rows that a sweep deletes. Seven at a time have the same `purge_at`. They are neither in the order of time nor in that of
    /// keys.
    pub(crate) fn expired(most: usize) -> String {
        format!(
            "INSERT INTO idem_keys (scope, key, fence, until, purge_at, attempt, state, previous, owner, ended)
            SELECT 'sql', convert_to(md5(n::text), 'UTF8'), 1, 1, 1 + n::bigint * 7919 % {most} / 7, 1, 5, 1, decode(md5(n::text), 'hex'), ''
            FROM generate_series(1, {most}) n"
        )
    }

    /// Sweeps until no row is left to delete. Returns how many were deleted.
    pub(crate) async fn sweep_all(admin: &dyn idem_runtime::IdempotencyAdmin) -> usize {
        admin.sweep(usize::MAX).await.unwrap()
    }

    database!(Postgres, Postgres, PostgresStore, PostgresOptions);
}

pub(crate) mod mariadb {
    pub(crate) const URL: &str = "mysql://USER:PASSWORD@HOST:PORT/DATABASE";
    pub(crate) const WRONG_URLS: &[&str] = &[
        "mysql://user:secret@host:port/db",
        "mysql://user:se cret@[host/db",
        "mysql://user:secret@h/d?ssl-mode=secret",
        "postgres://user:secret@h/d",
        "user:secret",
    ];

    /// The user that owns the database, as in a URL.
    pub(crate) const ADMIN: &str = "root@";
    /// With one right in the database, as a user without any is refused there.
    pub(crate) const CREATE_USER: &str = "CREATE USER app; GRANT SHOW VIEW ON idem.* TO app";
    /// A user that is told that a table is missing. A user that couldn't read the table isn't told.
    pub(crate) const SEES_MISSING: &str = "root@";
    /// Parts of the error for tables that exist, and that the user may not use.
    pub(crate) const NOT_GRANTED: &[&str] = &["needs a user with SELECT, INSERT, UPDATE and DELETE"];
    pub(crate) const MISSING: &str = "Table 'idem.idem_keys' doesn't exist";

    /// Triggers that refuse to write the key 40, and to complete the key 41.
    pub(crate) const REFUSE: &str = "\
        CREATE TRIGGER refuse BEFORE INSERT ON idem_keys FOR EACH ROW
        IF NEW.`key` = '40' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF;
        CREATE TRIGGER refuse_too BEFORE UPDATE ON idem_keys FOR EACH ROW
        IF NEW.`key` = '41' AND NEW.state = 5 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'nor this'; END IF";
    pub(crate) const OPEN_TRANSACTIONS: &str =
        "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_locked > 0";
    pub(crate) const CONNECTIONS: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'idem'";
    pub(crate) const CONNECTIONS_OF_APP: &str =
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'";

    /// A user with a password that may create tables.
    const CREATE_OWNER: &str = "CREATE USER app IDENTIFIED BY 'one'; GRANT ALL ON idem.* TO app";
    pub(crate) const CHANGE_PASSWORD: &str = "ALTER USER app IDENTIFIED BY 'two'";

    async fn ask_for_passwords(_: &Server) {}

    /// Limits the number of connections of this user.
    pub(crate) fn limit(connections: u32) -> String {
        format!("ALTER USER app WITH MAX_USER_CONNECTIONS {connections}; FLUSH USER_RESOURCES")
    }

    /// The schema or the database in which the tables are created.
    pub(crate) const HOME: &str = "idem";
    /// A table's name that is a reserved word.
    pub(crate) const QUOTED_ORDER: &str = "`order`";
    pub(crate) const CREATE_ELSEWHERE: &str = "CREATE DATABASE elsewhere";
    pub(crate) const GO_ELSEWHERE: &str = "USE elsewhere";

    pub(crate) fn elsewhere(options: Options) -> Options {
        options.database("elsewhere")
    }

    /// Columns, each with a value that a store never writes there.
    pub(crate) const CORRUPTIONS: &[(&str, &str)] =
        &[("state", "9"), ("previous", "7"), ("ended", "'x'"), ("fence", "-1"), ("attempt", "-1")];

    /// The greatest number of round trips for 64 executions, and for 500 messages.
    pub(crate) const MOST_TRIPS: [usize; 2] = [48, 150];

    /// How many of the view's rows have a time at which no key was claimed.
    pub(crate) const SINCE_IS_NO_CLAIM: &str = "\
        SELECT COUNT(*) FROM idem_keys_stuck s WHERE NOT EXISTS (SELECT * FROM idem_keys i
        WHERE i.scope = CAST(s.scope AS BINARY) AND i.fence = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', s.since))";

    /// A transaction that still sees rows that others delete.
    pub(crate) const SNAPSHOT: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT; SELECT COUNT(*) FROM idem_keys";
    /// How often a page was read.
    pub(crate) const PAGES: &str = "\
        SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status
        WHERE variable_name = 'INNODB_BUFFER_POOL_READ_REQUESTS'";
    pub(crate) const LOCK_ONE: &str =
        "START TRANSACTION; SELECT * FROM idem_keys WHERE purge_at = 1 LIMIT 1 FOR UPDATE";

    /// Inserts rows that a sweep deletes. Seven at a time have the same `purge_at`.
    pub(crate) fn expired(most: usize) -> String {
        format!(
            "INSERT INTO idem_keys (scope, `key`, state, owner, fence, until, previous, attempt, ended, purge_at)
            SELECT 'sql', CONCAT(LPAD(seq, 5, '0'), ' old'), 5, UNHEX(LPAD(HEX(seq), 32, '0')), 1, 1, 1, 1, '',
                1 + seq DIV 7 FROM
            JSON_TABLE(CONCAT('[0', REPEAT(',0', {most} - 1), ']'), '$[*]' COLUMNS (seq FOR ORDINALITY)) AS numbers"
        )
    }

    /// Sweeps until no row is left to delete. Returns how many were deleted.
    pub(crate) async fn sweep_all(admin: &dyn idem_runtime::IdempotencyAdmin) -> usize {
        let mut swept = 0;
        // A sweep passes over rows that others have locked.
        while admin.stats().await.unwrap().sweepable > 0 {
            swept += admin.sweep(usize::MAX).await.unwrap();
        }
        swept
    }

    /// A counter of the server.
    pub(crate) async fn status(connection: &mut Connection, name: &str) -> i64 {
        let sql = format!("SHOW GLOBAL STATUS LIKE '{name}'");
        let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        row.get::<String, _>(1).parse().unwrap()
    }

    database!(MySql, MariaDb, MySqlStore, MySqlOptions);
}
