"""The app: one page with what the api stored in Postgres and what Redis counts."""

import json
import logging
import os
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from flask import Flask, render_template
from redis import Redis

app = Flask(__name__)
app.logger.setLevel(os.environ["LOG_LEVEL"].upper())
logging.getLogger("werkzeug").setLevel(os.environ["LOG_LEVEL"].upper())
cache = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, socket_connect_timeout=2, socket_timeout=2)


@app.get("/")
def page() -> str:
    return render_template(
        "index.html",
        title=os.environ["SHOP_TITLE"],
        orders=from_api("/orders"),
        counted=int(cache.get("shop:orders_counted") or 0),
        summary=json.loads(cache.get("shop:summary") or "null"),
    )


@app.get("/health")
def health() -> tuple[dict[str, str], int]:
    parts = {"api": state_of("api", lambda: from_api("/health")), "cache": state_of("cache", cache.ping)}
    good = set(parts.values()) == {"ok"}
    return {"status": "ok" if good else "error", **parts}, 200 if good else 503


def from_api(path: str) -> Any:
    with urlopen(os.environ["API_URL"] + path, timeout=2) as response:
        return json.load(response)


def state_of(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # whatever the reason, this part does not work
        app.logger.warning("%s: %s: %s", name, type(error).__name__, error)
        return "error"
    return "ok"
