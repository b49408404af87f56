"""Run the revisions in one transaction, one runner at a time."""

from logging.config import fileConfig

from alembic import context
from shop.store import open_database
from sqlalchemy import text

LOCK = 7_468_001  # any number that nothing else in this database locks

fileConfig(context.config.config_file_name)
with open_database().connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()
