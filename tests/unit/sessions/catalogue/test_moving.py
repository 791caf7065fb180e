"""Sessions of a file are in PostgreSQL afterwards as they were, each once, wherever it was broken off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.criteria import ALL
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.numbering import NUMBERS_AHEAD
from doorward.sessions.catalogue.postgresql import PostgresCatalogue, moving
from doorward.sessions.catalogue.postgresql.checking import check_shared
from doorward.sessions.catalogue.postgresql.moving import Moved, move
from doorward.sessions.catalogue.results import ItemRange, SortOrder
from doorward.sessions.catalogue.rows import AlertRow, DownloadRow, IndexLine
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.sqlite.tables import open_for_writing
from tests.support.catalogues import NODE
from tests.support.postgresql import cluster
from tests.support.recorded import LINUX, key_of, row, tell

CLEANED = datetime(2026, 11, 29, 22, 1, tzinfo=UTC)
ALERT = AlertRow(at=9, type="screen", channel=1, rule="r", regexp="x", action="log", content="with a \0 in it")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sessions of a node: some with much text, one that runs, one that is gone."""
    path = tmp_path_factory.mktemp("moved") / "sessions.db"
    catalogue = SqliteCatalogue(path)
    tell(catalogue, row(1), row(2, trail="gone.dwr"), lines=[f"line {number} of a long text" for number in range(200)])
    tell(catalogue, row(3), lines=("/srv/data \u00e4lter",), commands=("ls -l", "rm x"))
    tell(catalogue, row(4), end=None)

    async def more() -> None:
        await catalogue.number(LINUX)
        await catalogue.alert(key_of(3), ALERT)
        await catalogue.downloaded(key_of(3), DownloadRow(at=3, user="admin", address="192.0.2.9", what="replay"))

    asyncio.run(more())
    catalogue.delete([2]).result()
    catalogue.note_cleaned(CLEANED)
    catalogue.close()
    return path


@pytest.fixture
def address() -> CatalogueAddress:
    running = cluster()
    return running.address(running.database())


def moved(file: Path, address: CatalogueAddress, **more: Any) -> Moved:
    with closing(open_for_writing(file)) as source:
        return move(source, address, NODE, **more)


def everything(catalogue: KeptSessions) -> list[Any]:
    """What is known of all sessions, but for their ids."""
    part = ItemRange(1000)
    with catalogue.looking() as look:
        found = []
        for number in look.ids(ALL, SortOrder(((FIELDS["start_time"], False),)), 100):
            [one] = look.rows([number], ALL)
            items = [look.channels(number, part), look.events(number, part), look.downloads(number, part)]
            hits = [*look.hits(number, "line OR srv OR ls")]
            alerts = [alert for _, alert in look.alerts(number, part)[0]]
            found.append((one.row, one.has_commands, one.has_titles, items, alerts, hits))
        return found


def test_all_of_it_is_there_and_goes_on(file: Path, address: CatalogueAddress) -> None:
    assert moved(file, address) == Moved(3, 0)
    assert moved(file, address) == Moved(0, 3)
    before, after = SqliteCatalogue(file), PostgresCatalogue(address, NODE)
    try:
        known = everything(before)
        known[1][4][0] = structs.replace(ALERT, content="with a \ufffd in it")
        assert everything(after) == known
        assert [one.key for one in after.open_sessions()] == [key_of(4)]
        assert after.doomed() == ["gone.dwr"]
        assert after.cleaned()[0] == CLEANED
        assert asyncio.run(after.number(LINUX)) == NUMBERS_AHEAD + 1
        # What is told again, by a worker that goes on, is known.
        asyncio.run(
            after.text(key_of(3), 1, [IndexLine(1000, "screen", "/srv/data \u00e4lter"), IndexLine(2000, "screen", "more")])
        )
        after.writer.flush()
        assert everything(after)[1][5] == known[1][5]
        assert list(check_shared(address, NODE, lambda _: iter(()))) == []
    finally:
        before.close()
        after.close()


def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    file: Path, address: CatalogueAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os\nfrom pathlib import Path\nfrom doorward.sessions.catalogue.address import CatalogueAddress\n"
        "from doorward.sessions.catalogue.postgresql import moving\n"
        "from doorward.sessions.catalogue.sqlite.tables import open_for_writing\nmoving.AT_A_TIME = 1\n"
        f"source = open_for_writing(Path({str(file)!r}))\naddress = CatalogueAddress({address.parameters!r})\n"
        f"moving.move(source, address, {NODE!r}, lambda done: done == 2 and os.kill(os.getpid(), 9))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    monkeypatch.setattr(moving, "AT_A_TIME", 2)
    assert moved(file, address) == Moved(1, 2)
    catalogue = PostgresCatalogue(address, NODE)
    assert [found[0].key for found in everything(catalogue)] == [key_of(1), key_of(3), key_of(4)]
    catalogue.close()


def test_rows_that_somebody_changed_there_are_named(file: Path, address: CatalogueAddress) -> None:
    moved(file, address)
    other = "What is searched of the session {} is not what is kept of it: user."
    changes = {
        "UPDATE bodies SET body = body || '\\x00' WHERE id = 1": "The row of the session {} is damaged.",
        "UPDATE sessions SET \"user\" = 'mallory' WHERE id = 2": other,
        "DELETE FROM bodies WHERE id = 3": "The row of the session {} is damaged.",
    }
    with cluster().connect(dict(address.parameters)["dbname"]) as connection:
        for sql in changes:
            assert connection.execute(sql.encode()).rowcount == 1
    keys = (key_of(1), key_of(3), key_of(4))
    told = [*check_shared(address, NODE, lambda _: iter(()))]
    assert told == [words.format(key) for words, key in zip(changes.values(), keys, strict=True)]
    assert list(check_shared(address, "another", lambda _: iter(()))) == []
