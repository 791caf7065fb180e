"""Runs migrations on the connection that it is given, in one transaction; of several nodes one does it, and the others wait."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

_LOCK = 0x446F6F7277617264

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="public")
with context.begin_transaction():
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    context.run_migrations()
