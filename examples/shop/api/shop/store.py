"""Where the shop keeps things: orders in Postgres, the count and the summary in Redis."""

import json
from typing import Any

from redis import Redis
from sqlalchemy import Engine, create_engine, text

from shop.settings import database_url, redis_url

COUNT = "shop:orders_counted"
SUMMARY = "shop:summary"


def open_database() -> Engine:
    return create_engine(database_url(), pool_pre_ping=True, connect_args={"connect_timeout": 2})


def open_cache() -> Redis:
    return Redis.from_url(redis_url(), decode_responses=True, socket_connect_timeout=2, socket_timeout=2)


def ping_database(database: Engine) -> None:
    with database.connect() as connection:
        connection.execute(text("SELECT 1"))


def add_order(database: Engine, item: str, quantity: int) -> dict[str, Any]:
    statement = text(
        "INSERT INTO orders (item, quantity) VALUES (:item, :quantity) RETURNING id, item, quantity, created_at"
    )
    with database.begin() as connection:
        return dict(connection.execute(statement, {"item": item, "quantity": quantity}).mappings().one())


def newest_orders(database: Engine, limit: int) -> list[dict[str, Any]]:
    statement = text("SELECT id, item, quantity, created_at FROM orders ORDER BY id DESC LIMIT :limit")
    with database.connect() as connection:
        return [dict(row) for row in connection.execute(statement, {"limit": limit}).mappings()]


def totals(database: Engine) -> dict[str, int]:
    statement = text("SELECT count(*) AS orders, coalesce(sum(quantity), 0) AS pieces FROM orders")
    with database.connect() as connection:
        return dict(connection.execute(statement).mappings().one())


def count_order(cache: Redis) -> None:
    cache.incr(COUNT)


def orders_counted(cache: Redis) -> int:
    return int(cache.get(COUNT) or 0)


def write_summary(cache: Redis, summary: dict[str, Any]) -> None:
    cache.set(SUMMARY, json.dumps(summary))


def read_summary(cache: Redis) -> dict[str, Any] | None:
    written = cache.get(SUMMARY)
    return json.loads(written) if written else None
