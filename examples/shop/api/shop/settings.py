"""Settings, all from the environment."""

import os
from pathlib import Path

from sqlalchemy import URL


def database_url() -> URL:
    return URL.create(
        "postgresql+psycopg",
        host=os.environ["DATABASE_HOST"],
        database=os.environ["DATABASE_NAME"],
        username=os.environ["DATABASE_USER"],
        password=database_password(),
    )


def database_password() -> str:
    """The content of the file $DATABASE_PASSWORD_FILE, or else $DATABASE_PASSWORD."""
    if file := os.environ.get("DATABASE_PASSWORD_FILE"):
        return Path(file).read_text().rstrip("\n")
    return os.environ["DATABASE_PASSWORD"]


def redis_url() -> str:
    return os.environ["REDIS_URL"]


def log_level() -> str:
    return os.environ["LOG_LEVEL"].upper()


def scheduler_interval() -> float:
    return float(os.environ["SCHEDULER_INTERVAL"])
