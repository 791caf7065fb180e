"""The tally of each node in a database that several write to, and that somebody else administers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.postgresql import PostgresCatalogue
from doorward.sessions.catalogue.postgresql.checking import check_shared
from doorward.sessions.catalogue.postgresql.tally_memory import TallyKey
from doorward.sessions.catalogue.rows import DownloadRow, EventRow
from tests.support.postgresql import cluster
from tests.support.recorded import key_of, row, tell

DOWNLOAD = DownloadRow(at=3, user="admin", address="192.0.2.9", what="replay")
OUT = "Some {} were taken out by somebody else: there are {}, not {}."


@pytest.fixture
def database() -> str:
    return cluster().database()


class Nodes:
    """Nodes of one database, by their names, each with a key and a state directory of its own."""

    def __init__(self, database: str, directory: Path) -> None:
        self.address: CatalogueAddress = cluster().address(database)
        self._directory, self._open = directory, dict[str, PostgresCatalogue]()

    def kept(self, name: str) -> TallyKey:
        return TallyKey(name.encode() * 32, self._directory / name)

    def __getitem__(self, name: str) -> PostgresCatalogue:
        if name not in self._open:
            self._open[name] = PostgresCatalogue(self.address, name, kept=self.kept(name))
        return self._open[name]

    def stop(self, name: str) -> None:
        self._open.pop(name).close()

    def found(self, name: str) -> list[str]:
        return list(check_shared(self.address, name, kept=self.kept(name)))

    def close(self) -> None:
        for one in self._open.values():
            one.close()


@pytest.fixture
def nodes(database: str, tmp_path: Path) -> Iterator[Nodes]:
    with closing(Nodes(database, tmp_path)) as made:
        yield made


@pytest.fixture
def administrator(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with cluster().connect(database) as connection:
        yield connection


Administrator = psycopg.Connection[tuple[object, ...]]


def test_nodes_that_write_at_once_count_what_is_theirs(nodes: Nodes, administrator: Administrator) -> None:
    async def many(name: str, first: int) -> None:
        for number in range(first, first + 15):
            await nodes[name].number("p")
            await nodes[name].begin(row(number, node=name))
            await nodes[name].event(key_of(number), EventRow(at=1, type="command", action="ls"))

    async def all_of_them() -> None:
        await asyncio.gather(*(many(name, 100 * place) for place, name in enumerate("abc")))
        await asyncio.gather(*(nodes[name].synced() for name in "abc"))

    asyncio.run(all_of_them())
    assert [nodes.found(name) for name in "abc"] == [[], [], []]
    administrator.execute("DELETE FROM sessions WHERE key = %s", (key_of(114),))
    assert (nodes.found("a"), nodes.found("c")) == ([], [])
    assert nodes.found("b") == [OUT.format("sessions", 14, 15), OUT.format("events of sessions", 14, 15)]


def test_all_that_a_node_wrote_is_missed_with_its_tally(nodes: Nodes, administrator: Administrator) -> None:
    tell(nodes["a"], row(1, node="a"))
    nodes.stop("a")
    administrator.execute("DELETE FROM sessions WHERE node = 'a'")
    assert OUT.format("sessions", 0, 1) in nodes.found("a")
    administrator.execute("DELETE FROM tally WHERE node = 'a'")
    assert nodes.found("a") == ["The tally of the rows was taken out."]
    tell(nodes["a"], row(2, node="a"))  # the next start does not make good what is missing
    assert nodes.found("a") == ["The tally of the rows was taken out."]


def test_a_tally_that_was_put_back_with_its_rows_is_an_older_one(nodes: Nodes, administrator: Administrator) -> None:
    tell(nodes["a"], row(1, node="a"))
    before = administrator.execute("SELECT * FROM tally").fetchone()
    assert before is not None
    tell(nodes["a"], row(2, node="a"))
    nodes.stop("a")
    administrator.execute("DELETE FROM sessions WHERE key = %s", (key_of(2),))
    administrator.execute("DELETE FROM tally")
    administrator.execute("INSERT INTO tally VALUES (%s, %s, %s, %s, %s)", before)
    [said] = nodes.found("a")
    assert said.startswith(f"The tally of the rows is an older one: number {before[1]}, where")


def test_the_tally_of_another_node_is_none_of_this_one(nodes: Nodes, administrator: Administrator) -> None:
    tell(nodes["a"], row(1, node="a"))
    tell(nodes["b"], row(2, node="b"))
    administrator.execute(
        "UPDATE tally SET generation = o.generation, totals = o.totals, others = o.others, mark = o.mark"
        " FROM tally AS o WHERE tally.node = 'a' AND o.node = 'b'"
    )
    assert nodes.found("a") == ["The tally of the rows was altered."]
    assert nodes.found("b") == []


def test_what_was_had_elsewhere_is_counted_where_it_was_had(nodes: Nodes, administrator: Administrator) -> None:
    tell(nodes["a"], row(1, node="a"), row(2, node="a"))
    for number in (1, 2):
        asyncio.run(nodes["b"].downloaded(key_of(number), DOWNLOAD))
        asyncio.run(nodes["a"].downloaded(key_of(number), DOWNLOAD))
    assert (nodes.found("a"), nodes.found("b")) == ([], [])
    nodes["a"].delete([1]).result()  # by its own node: nobody misses what went with it
    assert (nodes.found("a"), nodes.found("b")) == ([], [])
    administrator.execute("DELETE FROM downloads WHERE node = 'b'")
    assert nodes.found("a") == []
    assert nodes.found("b") == [OUT.format("downloads of the session with the id 2, of another node,", 0, 1)]
    administrator.execute("INSERT INTO downloads VALUES (2, 99, '\\x80', 'nobody')")
    assert nodes.found("a") == ["Some downloads of sessions were put in by somebody else: 1 of them are of no node."]


def test_numbers_that_were_set_back_are_found(nodes: Nodes, administrator: Administrator) -> None:
    asyncio.run(nodes["a"].number("p"))
    asyncio.run(nodes["b"].number("p"))
    administrator.execute("UPDATE numbers SET last = 100")
    assert nodes.found("a") == []
    assert nodes.found("b") == ["The numbers of sessions of the policy p were set back: 100, not 128."]


def test_writing_goes_on_over_connections_and_starts(nodes: Nodes, administrator: Administrator, database: str) -> None:
    tell(nodes["a"], row(1, node="a"), end=None)
    administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", (database,)
    )
    asyncio.run(nodes["a"].event(key_of(1), EventRow(at=9, type="command", action="ls")))
    asyncio.run(nodes["a"].synced())
    nodes.stop("a")
    tell(nodes["a"], row(2, node="a"))
    assert nodes.found("a") == []
    (generation,) = administrator.execute("SELECT generation FROM tally").fetchone() or (0,)
    assert int(nodes.kept("a").memory.read_bytes().split()[1]) == generation


def test_writes_that_nobody_waited_for_may_be_lost_with_the_database(nodes: Nodes, administrator: Administrator) -> None:
    """A crash of the database alone takes them and the tally of them together."""
    tell(nodes["a"], row(1, node="a"), end=None)
    before = administrator.execute("SELECT * FROM tally").fetchone()
    assert before is not None
    done = nodes["a"].writer.lazily(lambda statements: statements.add_event(1, EventRow(at=9, type="x")), 1)
    assert done is None
    nodes["a"].writer.close()
    administrator.execute("DELETE FROM events WHERE type = 'x'")
    administrator.execute("DELETE FROM tally")
    administrator.execute("INSERT INTO tally VALUES (%s, %s, %s, %s, %s)", before)
    assert nodes.found("a") == []


def test_rows_of_before_are_counted_at_the_first_start(nodes: Nodes, administrator: Administrator) -> None:
    """Those of the form of the tables that knew no tally."""
    tell(nodes["a"], row(1, node="a"))
    asyncio.run(nodes["a"].downloaded(key_of(1), DOWNLOAD))
    nodes.stop("a")
    nodes.kept("a").memory.unlink()
    administrator.execute("DROP TABLE tally; ALTER TABLE downloads DROP COLUMN node")
    administrator.execute("UPDATE alembic_version SET version_num = '0001_sessions'")
    [said] = nodes.found("a")
    assert "not of this release yet (0001_sessions)" in said
    tell(nodes["a"], row(2, node="a"))
    assert nodes.found("a") == []
    administrator.execute("DELETE FROM downloads")
    assert nodes.found("a") == [OUT.format("downloads of sessions", 0, 1)]


def test_each_form_of_the_tables_has_its_file() -> None:
    from doorward.sessions.catalogue.postgresql.schema import REVISIONS

    found = files("doorward.sessions.catalogue.postgresql").joinpath("migrations").iterdir()
    assert sorted(one.name.removesuffix(".sql") for one in found if one.name.endswith(".sql")) == sorted(REVISIONS)


@pytest.mark.parametrize("content", [b"x" * 54, b""])
def test_a_memory_that_can_not_be_read_is_made_anew(nodes: Nodes, content: bytes) -> None:
    tell(nodes["a"], row(1, node="a"))
    nodes.stop("a")
    nodes.kept("a").memory.write_bytes(content)
    tell(nodes["a"], row(2, node="a"))
    assert nodes.found("a") == []
    assert nodes.kept("a").memory.stat().st_size == 54
