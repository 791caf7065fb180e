"""Catalogues of every engine, each with a database of its own: what is seen with one has to be seen with all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.postgresql import PostgresCatalogue
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.postgresql import cluster

ENGINES: Final = ("sqlite", "postgresql")
NODE: Final = "6fed7872-065e-41d2-9cfa-ba75e8cad901"
"""The node of the sessions of `recorded`."""


def made(engine: str, directory: Path, is_readable: Callable[[SessionRow], bool] = lambda _: False) -> KeptSessions:
    """Return an empty catalogue; ``directory`` is empty as well."""
    if engine == "postgresql":
        running = cluster()
        return PostgresCatalogue(running.address(running.database()), NODE, is_readable)
    return SqliteCatalogue(directory / "sessions.db", is_readable)


@contextmanager
def opened(engine: str, directory: Path) -> Iterator[KeptSessions]:
    """Give an empty catalogue for the time of a block."""
    catalogue = made(engine, directory)
    try:
        yield catalogue
    finally:
        catalogue.close()


def stored(catalogue: KeptSessions, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return what a statement finds once everything is written."""
    catalogue.writer.flush()
    with catalogue.looking() as look:
        return [tuple(row) for row in look.connection.execute(sql, values).fetchall()]
