#!/bin/sh
# Bring the database up to date if asked to, then become the command.
set -eu
if [ "${MIGRATE_ON_START:-false}" = true ]; then
    python3 -m alembic upgrade head
fi
exec "$@"
