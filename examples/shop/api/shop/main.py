"""The api: orders and health over HTTP."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response
from pydantic import BaseModel, Field

from shop import store

log = logging.getLogger("uvicorn.error")
database = store.open_database()
cache = store.open_cache()
app = FastAPI(title="Shop")


class NewOrder(BaseModel):
    item: str = Field(min_length=1, max_length=100)
    quantity: int = Field(default=1, ge=1, le=1000)


class Order(NewOrder):
    id: int
    created_at: datetime


@app.get("/health")
async def health(response: Response) -> dict[str, str]:
    parts = {
        "database": await state_of("database", lambda: store.ping_database(database)),
        "cache": await state_of("cache", cache.ping),
    }
    good = set(parts.values()) == {"ok"}
    response.status_code = 200 if good else 503
    return {"status": "ok" if good else "error", **parts}


@app.post("/orders", status_code=201)
def create_order(order: NewOrder) -> Order:
    stored = store.add_order(database, order.item, order.quantity)
    store.count_order(cache)
    return Order(**stored)


@app.get("/orders")
def list_orders(limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> list[Order]:
    return [Order(**row) for row in store.newest_orders(database, limit)]


@app.get("/stats")
def stats() -> dict[str, Any]:
    return {"orders_counted": store.orders_counted(cache), "summary": store.read_summary(cache)}


async def state_of(name: str, check: Callable[[], object]) -> str:
    """Whether the check succeeds soon: a database that hangs must not make /health hang."""
    try:
        await asyncio.wait_for(asyncio.to_thread(check), timeout=2)
    except Exception as error:  # whatever the reason, this part does not work
        log.warning("%s: %s: %s", name, type(error).__name__, error)
        return "error"
    return "ok"
