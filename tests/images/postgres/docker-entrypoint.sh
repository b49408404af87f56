#!/usr/bin/env bash
# Makes the database cluster on the first start, then becomes the server.
set -euo pipefail

main() {
    [[ ${1:-} == -* ]] && set -- postgres "$@"
    if [[ $1 == postgres ]] && ! asks_for_help "$@"; then
        read_settings
        if [[ $(id -u) == 0 ]]; then
            own_data_directory
            export HOME=/var/lib/postgresql
            exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
        fi
        if [[ -s $PGDATA/PG_VERSION ]]; then
            echo "$PGDATA holds a database cluster: nothing to initialise"
        else
            first_start "${@:2}"
        fi
    fi
    exec "$@"
}

asks_for_help() {
    local argument
    for argument in "${@:2}"; do
        case $argument in -'?' | --help | --version | -V | --describe-config | -C) return 0 ;; esac
    done
    return 1
}

own_data_directory() {
    mkdir -p "$PGDATA"
    find "$PGDATA" /run/postgresql \! -user postgres -exec chown postgres '{}' +
    chmod 700 "$PGDATA"
}

# As root, if the container starts as root: a secret need not be readable for the user postgres.
read_settings() {
    from_file POSTGRES_PASSWORD
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS
}

first_start() {
    require_password
    make_cluster
    server start "$@"
    make_database
    run_init_files
    server stop
    echo "PostgreSQL init process complete; ready for start up."
}

# from_file NAME [DEFAULT]: exports NAME from itself, from the file that NAME_FILE names, or as DEFAULT.
from_file() {
    local name=$1 file=$1_FILE
    if [[ -n ${!name:-} && -n ${!file:-} ]]; then
        die "$name and $file are both set: give one of them"
    elif [[ -n ${!file:-} ]]; then
        export "$name=$(<"${!file}")"
    else
        export "$name=${!name:-${2:-}}"
    fi
    unset "$file"
}

require_password() {
    [[ -n $POSTGRES_PASSWORD || ${POSTGRES_HOST_AUTH_METHOD:-} == trust ]] ||
        die "There is no database yet, and no password for its superuser: set POSTGRES_PASSWORD" \
            "to a non-empty value, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in"
}

make_cluster() {
    local -a extra=()
    [[ -z $POSTGRES_INITDB_ARGS ]] || eval "extra=($POSTGRES_INITDB_ARGS)"
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${extra[@]}"
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"
}

# Only on the unix socket, so that nobody takes the half-made database for the ready one.
server() {
    case $1 in
        start) NOTIFY_SOCKET='' pg_ctl start -w -o "$(printf '%q ' "${@:2}" -c listen_addresses= -p 5432)" ;;
        stop) pg_ctl stop -w -m fast ;;
    esac
}

make_database() {
    [[ $POSTGRES_DB != postgres ]] || return 0
    sql --dbname=postgres --set=name="$POSTGRES_DB" <<< 'CREATE DATABASE :"name";'
}

run_init_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) run_script "$file" ;;
            *.sql) told "$file" && sql --dbname="$POSTGRES_DB" --file="$file" ;;
            *.sql.gz) told "$file" && gunzip --stdout "$file" | sql --dbname="$POSTGRES_DB" ;;
            *'/*') ;;
            *) echo "$0: ignoring $file" ;;
        esac
    done
}

run_script() {
    told "$1"
    if [[ -x $1 ]]; then
        "$1"
    else
        # shellcheck source=/dev/null
        . "$1"
    fi
}

sql() {
    psql --set=ON_ERROR_STOP=1 --no-password --no-psqlrc --username="$POSTGRES_USER" "$@"
}

told() {
    echo "$0: running $1"
}

die() {
    echo "Error: $*" >&2
    exit 1
}

main "$@"
