#!/usr/bin/env bash
# Starts redis-server as user redis, reachable from other containers.
set -euo pipefail

[[ ${1:-} == -* || ${1:-} == *.conf ]] && set -- redis-server "$@"

# Debian's build refuses clients of other hosts while no password is set; the official image's build does not.
if [[ $1 == redis-server ]]; then
    configuration="$*"
    [[ -f ${2:-} ]] && configuration+=$(<"$2")
    [[ $configuration == *protected-mode* ]] || set -- "$@" --protected-mode no
fi

if [[ $1 == redis-server && $(id -u) == 0 ]]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
fi
umask 0077
exec "$@"
