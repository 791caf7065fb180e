"""The tables in PostgreSQL: brought to the form of this release, and refused where a newer one has changed them."""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import Final

import psycopg

from doorward import __version__
from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.postgresql.connection import PostgresConnection

REVISIONS: Final = ("0001_sessions", "0002_tally")
"""The forms that there were, by the names of their migrations; the last is that of this release."""
_MIGRATING: Final = threading.Lock()
"""Alembic has one context for a whole process."""
_MIN_VERSION: Final = 130_000


class SchemaError(Exception):
    """The database can't be used as it is. The message says why."""


def found(connection: PostgresConnection) -> str | None:
    """Return the form of the tables; None: there are none. Raises psycopg.Error."""
    if connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone() != (True,):
        return None
    row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
    return None if row is None else str(row[0])


def check(connection: PostgresConnection, address: CatalogueAddress) -> None:
    """Raise SchemaError where the tables have another form than that of this release. Raises psycopg.Error."""
    revision = found(connection)
    if revision != REVISIONS[-1]:
        _refuse_newer(revision, address)
        raise SchemaError(f"the tables in {address.shown} are not of this release yet ({revision or 'there are none'})")


def bring_up(connection: PostgresConnection, address: CatalogueAddress) -> None:
    """Bring the tables to the form of this release, or make them. Raises SchemaError, psycopg.Error."""
    info = connection.raw.info
    if info.server_version < _MIN_VERSION:
        raise SchemaError(f"{address.shown} is PostgreSQL {info.server_version // 10_000}; 13 or later is needed")
    if connection.execute("SHOW server_encoding").fetchone() != ("UTF8",):
        raise SchemaError(f"the database {address.shown} must have the encoding UTF8")
    revision = found(connection)
    if revision == REVISIONS[-1]:
        return
    _refuse_newer(revision, address)
    with _MIGRATING:
        _migrate(connection)


def _refuse_newer(revision: str | None, address: CatalogueAddress) -> None:
    if revision is not None and revision not in REVISIONS:
        raise SchemaError(
            f"the tables in {address.shown} were written by a newer release (schema {revision}); this is release {__version__},"
            f" which knows schemas up to {REVISIONS[-1]}. Nothing was changed: use that release"
        )


def _migrate(connection: PostgresConnection) -> None:
    # Alembic and SQLAlchemy take 20 MB and a second: only where there is something to do.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import StaticPool

    config = Config()
    config.set_main_option("script_location", str(files("doorward.sessions.catalogue.postgresql").joinpath("migrations")))
    connection.raw.autocommit = False
    try:
        engine = create_engine("postgresql+psycopg://", creator=lambda: connection.raw, poolclass=StaticPool)
        with engine.connect() as opened:
            config.attributes["connection"] = opened
            command.upgrade(config, "head")
    except Exception as error:  # whatever the tools say, the thread that writes goes on
        if isinstance(error, DBAPIError) and isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise SchemaError(f"the tables can't be brought to the form of this release: {error}") from error
    finally:
        if not connection.raw.closed:
            connection.raw.rollback()
            connection.raw.autocommit = True
