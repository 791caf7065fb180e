"""The catalogue keeps what it is told, once, and gives numbers away once, whatever engine keeps it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from doorward.sessions.catalogue import known, text
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.numbering import NUMBERS_AHEAD
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.query import parsed
from doorward.sessions.catalogue.rows import (
    FAIL,
    INDEXED,
    NOT_INDEXED,
    AlertRow,
    ChannelRow,
    DownloadRow,
    EventRow,
    Facts,
    IndexLine,
    SessionEnd,
    SessionRow,
)
from doorward.sessions.catalogue.statements import Statements
from tests.support.catalogues import ENGINES, made, stored
from tests.support.recorded import key_of, row, tell, told
from tests.support.waiting import PATIENCE

END = SessionEnd(at=57_000, verdict="ACCEPT", reason="", down=1000, up=50)


def run(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    async def all_of_it() -> list[Any]:
        return [await one for one in work]

    return asyncio.run(all_of_it())


def kept(catalogue: KeptSessions, key: str = key_of(1)) -> SessionRow:
    found = catalogue.session(key)
    assert found is not None
    return found


def tables_of(catalogue: KeptSessions) -> dict[str, list[Any]]:
    """Everything that is kept, but for what is only kept to know it again."""
    names = ("sessions", "bodies", "channels", "events", "alerts", "chunks")
    return {name: stored(catalogue, f"SELECT * FROM {name} ORDER BY 1, 2") for name in names}  # noqa: S608


def lines(catalogue: KeptSessions, number: int = 1) -> list[str]:
    sql = "SELECT body FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id"
    return [line.text for (body,) in stored(catalogue, sql, *text.ids_of(number)) for line in text.unpacked(body)]


def test_a_session_is_kept_with_all_that_is_told(catalogue: KeptSessions) -> None:
    tell(catalogue, row())
    found = kept(catalogue)
    assert (found.user, found.server.name, found.ended, found.index_status) == (
        "jane",
        "db1.example.com",
        found.began + 57_000,
        INDEXED,
    )
    assert found.session_id == f"svc/{key_of(1)}/linux:1"
    assert found.has_accepted_channel
    assert catalogue.open_sessions() == []


def test_what_is_told_again_changes_nothing(catalogue: KeptSessions) -> None:
    alert = AlertRow(at=3, type="adp.event.command", channel=1, rule="r", regexp="ls", action="ls", content="$ ls")
    for _ in range(3):
        run(told(catalogue, row(), end=None), catalogue.alert(key_of(1), alert))
    once = tables_of(catalogue)
    run(told(catalogue, row(), end=END), told(catalogue, row(), end=END), catalogue.alert(key_of(1), alert))
    again = tables_of(catalogue)
    assert {name: len(found) for name, found in once.items()} == {name: len(found) for name, found in again.items()}
    assert lines(catalogue) == ["$ ls", "notes.txt", "ls"]
    assert again["channels"] == once["channels"]


def test_rows_stay_in_memory_while_they_are_open_and_the_last_few_that_were_closed(
    catalogue: KeptSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MAX_CLOSED", 2)
    opened, closed = range(1, 5), range(5, 10)
    tell(catalogue, *map(row, opened), end=None)
    tell(catalogue, *map(row, closed))
    remembered = [number for number in (*opened, *closed) if catalogue._known.find(key_of(number)) is not None]
    assert remembered == [*opened, 8, 9]
    run(catalogue.update(key_of(5), Facts(gateway_user="joan")), catalogue.synced())
    assert kept(catalogue, key_of(5)).gateway_user == "joan"
    assert catalogue._known.find(key_of(8)) is None


def test_lines_of_the_very_same_moment_are_all_kept(catalogue: KeptSessions) -> None:
    run(catalogue.begin(row()))
    first = [IndexLine(5, "screen", "one"), IndexLine(5, "screen", "two")]
    run(catalogue.text(key_of(1), 1, first), catalogue.text(key_of(1), 1, [*first, IndexLine(5, "screen", "three")]))
    run(catalogue.text(key_of(1), 2, first))
    assert lines(catalogue) == ["one", "two", "three", "one", "two"]


def test_numbers_are_given_once_for_each_policy(catalogue: KeptSessions) -> None:
    async def many() -> list[int]:
        return await asyncio.gather(*(catalogue.number("a") for _ in range(3 * NUMBERS_AHEAD)))

    found = asyncio.run(many())
    assert sorted(found) == list(range(1, 3 * NUMBERS_AHEAD + 1))
    assert run(catalogue.number("b")) == [1]


def test_many_that_begin_at_once_are_synced_together(catalogue: KeptSessions) -> None:
    async def many() -> None:
        await asyncio.gather(*(catalogue.begin(row(number)) for number in range(500)))

    before = catalogue.writer.batches
    asyncio.run(many())
    assert len(catalogue.open_sessions()) == 500
    assert catalogue.writer.batches - before < 100


def test_facts_add_to_a_row(catalogue: KeptSessions) -> None:
    run(catalogue.begin(row()), catalogue.update(key_of(1), Facts(server_user="root", extra={"a": 1})))
    run(catalogue.update(key_of(1), Facts(gateway_user="jane", extra={"b": 2})), catalogue.synced())
    found = kept(catalogue)
    assert (found.server_user, found.gateway_user, found.extra) == ("root", "jane", {"a": 1, "b": 2})


def test_an_end_stays_unless_it_was_only_a_recovery(catalogue: KeptSessions) -> None:
    recovered = SessionEnd(at=9000, verdict=FAIL, reason="cut off")
    run(catalogue.begin(row()), catalogue.recovered(key_of(1), recovered))
    assert kept(catalogue).verdict == FAIL
    run(catalogue.end(key_of(1), END))
    assert (kept(catalogue).verdict, kept(catalogue).ended) == ("ACCEPT", row().began + 57_000)
    run(catalogue.recovered(key_of(1), recovered), catalogue.end(key_of(1), recovered))
    assert kept(catalogue).verdict == "ACCEPT"


@pytest.mark.parametrize("engine", ENGINES)
def test_text_of_an_encrypted_trail_is_not_kept(engine: str, tmp_path: Path) -> None:
    catalogue = made(engine, tmp_path, lambda row: "ours" in row.recipients)
    tell(catalogue, row(1, recipients=("theirs",)), row(2, recipients=("ours",)), row(3, text="none"))
    assert [lines(catalogue, number) for number in (1, 2, 3)] == [[], ["$ ls", "notes.txt", "ls"], []]
    assert [kept(catalogue, key_of(n)).index_status for n in (1, 2, 3)] == [NOT_INDEXED, INDEXED, NOT_INDEXED]
    catalogue.close()


def test_what_is_told_of_a_session_without_a_row_is_passed_over(catalogue: KeptSessions) -> None:
    run(catalogue.text(key_of(9), 1, [IndexLine(1, "screen", "x")]), catalogue.event(key_of(9), EventRow(at=1, type="x")))
    run(catalogue.synced(), catalogue.begin(row()))
    assert len(catalogue.open_sessions()) == 1


def test_a_command_of_a_channel_is_text_and_an_event(catalogue: KeptSessions) -> None:
    run(catalogue.begin(row()))
    channel = ChannelRow(number=1, opened=5, type="session-exec", verdict="accept", facts={"command": "uptime"})
    run(catalogue.channel_opened(key_of(1), channel))
    assert lines(catalogue) == ["uptime"]
    assert stored(catalogue, "SELECT type, action FROM events") == [("command", "uptime")]


def test_control_characters_are_not_kept_in_text(catalogue: KeptSessions) -> None:
    run(
        catalogue.begin(row()),
        catalogue.text(key_of(1), 1, [IndexLine(1, "screen", "a\x1b[31m\tb\ue000\x9b"), IndexLine(2, "screen", " \r")]),
    )
    assert lines(catalogue) == ["a\ufffd[31m b\ufffd\ufffd", "\ufffd"]


def test_downloads_are_kept_before_they_are_answered(catalogue: KeptSessions) -> None:
    run(catalogue.begin(row()), catalogue.downloaded(key_of(1), DownloadRow(at=1, user="jane", address="::1", what="replay")))
    assert stored(catalogue, "SELECT count(*) FROM downloads") == [(1,)]


def test_a_deleted_session_leaves_nothing(catalogue: KeptSessions) -> None:
    tell(catalogue, row(1, trail="one.dwr"), row(2))
    assert catalogue.delete([1]).result() == ["one.dwr"]
    found = tables_of(catalogue)
    assert [len(found[name]) for name in ("sessions", "bodies", "channels", "events", "chunks")] == [1, 1, 1, 2, 2]
    assert catalogue.session(key_of(1)) is None
    assert catalogue.doomed() == ["one.dwr"]
    assert stored(catalogue, "SELECT count(*) FROM marks WHERE session = 1") == [(0,)]
    with catalogue.looking() as look:
        assert look.count(parsed("notes").criterion) == 1


def test_an_id_never_comes_back(catalogue: KeptSessions) -> None:
    tell(catalogue, row(1))
    catalogue.delete([1]).result()
    tell(catalogue, row(2))
    assert tables_of(catalogue)["sessions"][0][0] == 2


def test_a_work_that_fails_by_itself_fails_alone(catalogue: KeptSessions) -> None:
    def wrong(statements: Statements) -> None:
        statements.connection.execute("DELETE FROM sessions")
        raise ValueError

    run(catalogue.begin(row(1)))
    failed = catalogue.writer.durable(wrong)
    run(catalogue.begin(row(2)))
    with pytest.raises(ValueError, match=r"^$"):
        failed.result()
    assert len(catalogue.open_sessions()) == 2


def test_who_waits_no_longer_holds_up_nobody(catalogue: KeptSessions) -> None:
    """As control does when a worker is gone of which it was about to note something."""
    gate = threading.Event()
    catalogue.writer.durable(lambda _: gate.wait())

    async def leave() -> None:
        waiting = asyncio.create_task(catalogue.synced())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(leave())
    gate.set()
    assert catalogue.writer.durable(lambda _: "written").result(PATIENCE) == "written"


def test_who_brings_too_much_waits(catalogue: KeptSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.sessions.catalogue.writer.MAX_WAITING", 1000)
    run(catalogue.begin(row()))
    run(*(catalogue.text(key_of(1), 1, [IndexLine(at, "screen", "x" * 500)]) for at in range(10)))
    assert catalogue.writer._size <= 2000
    assert len(lines(catalogue)) == 10


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_taken_after_the_end(engine: str, tmp_path: Path) -> None:
    catalogue = made(engine, tmp_path)
    catalogue.close()
    with pytest.raises(CatalogueUnavailableError):
        run(catalogue.begin(row()))
