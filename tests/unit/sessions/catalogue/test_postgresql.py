"""The catalogue in PostgreSQL: nodes that share it, and databases that are gone, full, read only or another release's."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from doorward.sessions.catalogue.address import CatalogueAddress, parsed
from doorward.sessions.catalogue.criteria import ALL
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.postgresql import PostgresCatalogue
from doorward.sessions.catalogue.postgresql.connection import WRITING, PostgresConnection
from doorward.sessions.catalogue.results import SortOrder
from doorward.sessions.catalogue.rows import IndexLine, SessionEnd
from tests.support.pki import Authority
from tests.support.ports import free_port
from tests.support.postgresql import Cluster, cluster
from tests.support.recorded import key_of, row, tell
from tests.support.waiting import until

END = SessionEnd(at=57_000, verdict="ACCEPT", reason="")
BY_START = SortOrder(((FIELDS["start_time"], False),))


@pytest.fixture
def database() -> str:
    return cluster().database()


@pytest.fixture
def node(database: str) -> Iterator[Callable[[str], PostgresCatalogue]]:
    """Nodes of one database, by their names."""
    nodes: list[PostgresCatalogue] = []

    def opened(name: str) -> PostgresCatalogue:
        nodes.append(PostgresCatalogue(cluster().address(database), name))
        return nodes[-1]

    yield opened
    for one in nodes:
        one.close()


Node = Callable[[str], PostgresCatalogue]


def do(database: str, statement: str) -> None:
    with cluster().connect(database) as connection:
        connection.execute(sql.SQL(statement))


def refused(work: Coroutine[Any, Any, Any], why: str) -> None:
    with pytest.raises(CatalogueUnavailableError, match=why):
        asyncio.run(work)


def works(catalogue: PostgresCatalogue) -> None:
    """Wait until it can be written, as somebody does whose session was refused and who tries again."""

    def begun() -> bool:
        with suppress(CatalogueUnavailableError):
            asyncio.run(catalogue.begin(row(9, node="a")))
            return True
        return False

    until(begun)
    until(lambda: catalogue.failing is None)
    assert catalogue.session(key_of(9)) is not None


# Several nodes


def test_nodes_see_all_sessions_and_change_their_own(node: Node) -> None:
    one, other = node("a"), node("b")
    tell(one, row(1, node="a"))
    tell(other, row(2, node="b", trail="two.dwr"), end=None)
    for each in (one, other):
        with each.looking() as look:
            assert list(look.ids(ALL, BY_START, 9)) == [1, 2]
    assert [[found.key for found in each.open_sessions()] for each in (one, other)] == [[], [key_of(2)]]
    assert one.session(key_of(2)) is None
    asyncio.run(one.text(key_of(2), 1, [IndexLine(60_000, "screen", "forged")]))
    asyncio.run(one.synced())
    with one.looking() as look:
        assert list(look.hits(2, "forged")) == []
    asyncio.run(other.end(key_of(2), END))
    assert (one.due(None, 1 << 60, 9, lambda _: False), other.due(None, 1 << 60, 9, lambda _: False)) == ([1], [2])
    other.delete([2]).result()
    assert (one.doomed(), other.doomed()) == ([], ["two.dwr"])


def test_a_key_that_another_node_has_begins_nothing(node: Node) -> None:
    one, other = node("a"), node("b")
    asyncio.run(one.begin(row(1, node="a")))
    refused(other.begin(row(1, node="b")), "another node")
    asyncio.run(one.begin(row(1, node="a")))


def test_numbers_are_given_once_over_all_nodes(node: Node) -> None:
    nodes = [node(name) for name in ("a", "b", "c")]

    async def many() -> list[int]:
        return await asyncio.gather(*(each.number("p") for _ in range(70) for each in nodes))

    found = asyncio.run(many())
    assert len(set(found)) == len(found)


def test_what_is_done_daily_is_remembered_by_each(node: Node) -> None:
    one, other = node("a"), node("b")
    now = datetime(2026, 11, 30, tzinfo=UTC)
    one.note_cleaned(now)
    assert (one.cleaned(), other.cleaned()) == ((now, None), (None, None))
    one.note_cleaned(now + timedelta(days=1))
    assert one.cleaned() == (now + timedelta(days=1), now)


def test_rows_are_durable_whatever_the_server_does_for_others(database: str) -> None:
    with cluster().connect(database) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
    ours = PostgresConnection(cluster().address(database), WRITING)
    assert ours.execute("SHOW synchronous_commit").fetchone() == ("on",)
    ours.close()


def test_no_text_is_refused_for_its_letters(node: Node) -> None:
    one = node("a")
    tell(one, row(1, node="a", gateway_user="a\0b", policy="%s ?"), lines=("nul\0 %s ? ' \\",))
    found = one.session(key_of(1))
    assert found is not None
    assert found.policy == "%s ?"


# What a database does


def test_a_full_database_takes_no_session_until_it_has_room(database: str, node: Node) -> None:
    one = node("a")
    tell(one, row(1, node="a"), end=None)
    do(database, "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                 " $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$")  # fmt: skip
    do(database, "CREATE TRIGGER full_disk BEFORE INSERT ON bodies EXECUTE FUNCTION full_disk()")
    refused(one.begin(row(2, node="a")), "could not extend file")
    assert "could not extend file" in str(one.failing)
    asyncio.run(one.text(key_of(1), 1, [IndexLine(60_000, "screen", "kept meanwhile")]))
    do(database, "DROP TRIGGER full_disk ON bodies")
    works(one)
    with one.looking() as look:
        assert [hit.snippet for hit in look.hits(1, "meanwhile")] == ["kept meanwhile"]


def test_a_database_that_is_read_only_takes_no_session(database: str, node: Node) -> None:
    do("postgres", f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    one = node("a")
    refused(one.begin(row(1, node="a")), "read-only")
    do("postgres", f"ALTER DATABASE {database} RESET default_transaction_read_only")
    works(one)


def test_a_newer_schema_is_refused_by_its_name_and_left_alone(database: str, node: Node) -> None:
    do(database, "UPDATE alembic_version SET version_num = '0099_later'")
    one = node("a")
    refused(one.begin(row(1, node="a")), "newer release .schema 0099_later.*0002_tally")
    with pytest.raises(CatalogueUnavailableError, match="0099_later"):
        one.open_sessions()
    do(database, "UPDATE alembic_version SET version_num = '0002_tally'")
    works(one)


def test_who_holds_a_row_for_long_holds_up_nobody_for_ever(database: str, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WRITING, "lock_timeout", "50ms")
    one = node("a")
    asyncio.run(one.number("p"))
    with cluster().connect(database) as holding:
        holding.execute("BEGIN")
        holding.execute("UPDATE numbers SET last = last")
        work = one.writer.durable(lambda statements: statements.numbers_ahead("p", 1), urgent=True)
        with pytest.raises(CatalogueUnavailableError, match="lock timeout"):
            work.result()
    works(one)


def test_a_connection_that_was_cut_is_made_anew(database: str, node: Node) -> None:
    one = node("a")
    tell(one, row(1, node="a"), end=None)
    with one.looking() as look:
        assert look.count(ALL) == 1
    do("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")  # noqa: S608 - a name of the test
    with one.looking() as look:
        assert look.count(ALL) == 1
    asyncio.run(one.end(key_of(1), END))
    works(one)


def test_a_wrong_password_is_named_and_never_shown(database: str, tmp_path: Path) -> None:
    with cluster().connect("postgres") as connection:
        connection.execute("DROP ROLE IF EXISTS guarded")
        connection.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right'")
    secret = tmp_path / "password"
    secret.write_text("mistaken")
    secret.chmod(0o600)
    given = dict(cluster().address(database).parameters) | {"user": "guarded"}
    one = PostgresCatalogue(CatalogueAddress(tuple(given.items()), secret), "a")
    try:
        refused(one.begin(row(1, node="a")), 'password authentication failed for user "guarded"')
        assert "mistaken" not in str(one.failing)
        secret.write_text("right")
        works(one)
    finally:
        one.close()


# A database of its own, which dies, and which is reached by TLS too


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def mortal(authority: Authority, port: int) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="doorward-mortal-") as directory:
        Path(directory).chmod(0o755)
        certificate, key = authority.identity("db").written(Path(directory), "db")
        settings = {
            "ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key, "listen_addresses": "127.0.0.1", "port": port
        }  # fmt: skip
        made = Cluster(Path(directory) / "cluster", *(f"{name}={value}" for name, value in settings.items()), port=port)
        made.own(key)
        made.make()
        yield made
        with suppress(AssertionError):
            made.stop()


def test_a_certificate_of_another_authority_is_refused(mortal: Cluster, authority: Authority, port: int, tmp_path: Path) -> None:
    database = mortal.database()
    for one, is_trusted in ((Authority("Another"), False), (authority, True)):
        trusted = tmp_path / "ca.pem"
        trusted.write_text(one.pem)
        address = f"postgresql://doorward@127.0.0.1:{port}/{database}?sslmode=verify-full&sslrootcert={trusted}"
        catalogue = PostgresCatalogue(parsed(address), "a")
        if is_trusted:
            works(catalogue)
        else:
            refused(catalogue.begin(row(1, node="a")), "certificate verify failed")
        catalogue.close()


def test_a_database_that_dies_is_waited_for(mortal: Cluster) -> None:
    """Dead at the start, there, dead in the middle, there again: nothing that was taken is lost."""
    address = mortal.address(mortal.database())
    mortal.stop()
    one = PostgresCatalogue(address, "a")
    try:
        until(lambda: one.failing is not None)
        refused(one.begin(row(1, node="a")), "can't be written")
        with pytest.raises(CatalogueUnavailableError, match="can't be read"):
            one.open_sessions()
        mortal.start()
        until(lambda: one.failing is None)  # by itself: nobody asks
        tell(one, row(1, node="a"), end=None)
        mortal.stop()
        asyncio.run(one.text(key_of(1), 1, [IndexLine(60_000, "screen", "kept meanwhile")]))
        refused(one.begin(row(2, node="a")), "can't be written")
        ending = one.writer.durable(lambda statements: statements.doom("x"))
        mortal.start()
        ending.result()
        with one.looking() as look:
            assert [hit.snippet for hit in look.hits(1, "meanwhile")] == ["kept meanwhile"]
        works(one)
    finally:
        one.close()


def test_a_schema_is_made_by_one_of_several_nodes_that_start_together() -> None:
    with cluster().connect("postgres") as connection:
        connection.execute("DROP DATABASE IF EXISTS empty")
        connection.execute("CREATE DATABASE empty TEMPLATE template0")
    nodes = [PostgresCatalogue(cluster().address("empty"), name) for name in ("a", "b", "c")]
    try:

        async def begun() -> None:
            await asyncio.gather(*(each.begin(row(number, node="abc"[number])) for number, each in enumerate(nodes)))

        asyncio.run(begun())
        with nodes[0].looking() as look:
            assert look.count(ALL) == len(nodes)
    finally:
        for each in nodes:
            each.close()


def test_a_version_without_rights_is_told(database: str) -> None:
    with cluster().connect("postgres") as connection:
        connection.execute("DROP ROLE IF EXISTS nobody_much")
        connection.execute("CREATE ROLE nobody_much LOGIN")
    given = dict(cluster().address(database).parameters) | {"user": "nobody_much"}
    one = PostgresCatalogue(CatalogueAddress(tuple(given.items())), "a")
    refused(one.begin(row(1, node="a")), "permission denied")
    one.close()
    with cluster().connect("postgres") as connection, suppress(psycopg.Error):
        connection.execute("DROP ROLE nobody_much")
