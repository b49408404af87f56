"""Every few seconds: sum up the orders in Postgres, and leave the summary with a heartbeat in Redis."""

import logging
import signal
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from redis import Redis, RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shop import settings, store

HEARTBEAT = Path("/tmp/scheduler-heartbeat")  # for the health check, which must be cheap

log = logging.getLogger("scheduler")


def main() -> None:
    logging.basicConfig(level=settings.log_level(), format="%(levelname)s %(name)s: %(message)s")
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    run(store.open_database(), store.open_cache(), settings.scheduler_interval(), stopping)


def run(database: Engine, cache: Redis, interval: float, stopping: Event) -> None:
    log.info("summing up every %g s", interval)
    while not stopping.is_set():
        try:
            summarise(database, cache)
        except (SQLAlchemyError, RedisError) as error:  # tried again; the health check sees the old heartbeat
            log.warning("no summary: %s", error)
        stopping.wait(interval)
    log.info("stopped")


def summarise(database: Engine, cache: Redis) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    summary = {"heartbeat": now, **store.totals(database)}
    store.write_summary(cache, summary)
    HEARTBEAT.touch()
    log.debug("%s", summary)


if __name__ == "__main__":
    main()
