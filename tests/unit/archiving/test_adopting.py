"""Sessions of a node that is gone, taken over by what it left in the bucket, which somebody else may write to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from doorward.archiving import adopting, session_record
from doorward.archiving.adopting import Adopted, NotAdoptedError, SessionAdoption
from doorward.archiving.session_record import MAX_RECORD, SessionRecord, name_of, sealed
from doorward.cluster.keys import NodeKey
from doorward.sessions.catalogue.criteria import ALL
from doorward.sessions.catalogue.results import ItemRange
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, EventRow, SessionRow
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.recorded import key_of
from tests.unit.archiving.parts import LABEL, ArchivingSite

PART = ItemRange(100)
ALERT = AlertRow(at=9, type="screen", channel=1, rule="r", regexp="x", action="log", content="x")


class Gone:
    """A node that archived two sessions, and one that takes them over."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (directory / "dead").mkdir()
        (directory / "central").mkdir()
        self.dead = ArchivingSite(directory / "dead", monkeypatch)
        self.bucket, self.node = self.dead.bucket, self.dead.node
        for number in (1, 2):
            self.dead.put(number, b"trail %d" % number, gateway_user="jane", extra={"host_key": "x"})
            self.told(number)
        assert self.dead.archiver._turn() is not None
        self.central = ArchivingSite(directory / "central", monkeypatch)
        for module in ("adopting", "archiver", "fetching"):
            monkeypatch.setattr(f"doorward.archiving.{module}.open_bucket", self.bucket.connect)
        self.left = dict(self.bucket.objects), dict(self.bucket.records)
        self.pinned = {self.node: self.dead.key.certificate}
        self.living: set[str] = set()

    def again(self, path: Path) -> None:
        """Begin with what was left in the bucket, and with an empty catalogue at a path."""
        self.bucket.objects, self.bucket.records = dict(self.left[0]), dict(self.left[1])
        self.bucket.failing, self.bucket.page_size = {}, 3
        self.living.clear()
        self.central.catalogue.close()
        self.central.catalogue = SqliteCatalogue(path, key=b"k" * 32)
        self.central.archiver.fetched.clear()
        self.adoption = SessionAdoption(self.central.view, self.central.catalogue, self.pinned.get, lambda: self.living)

    def told(self, number: int) -> None:
        async def more() -> None:
            key, catalogue = key_of(number), self.dead.catalogue
            await catalogue.channel_opened(key, ChannelRow(number=7, opened=1, closed=9, type="session-shell", verdict="accept"))
            await catalogue.event(key, EventRow(at=5, type="command", channel=7, action=f"rm -r secret{number}"))
            await catalogue.alert(key, ALERT)
            await catalogue.synced()

        asyncio.run(more())

    def step(self, after: str = "", **more: Any) -> Adopted:
        return self.adoption.step(self.central.policy, self.node, after, **more)

    def record(self, **changes: Any) -> SessionRecord:
        row = self.dead.catalogue.session(key_of(2))
        assert row is not None
        return SessionRecord(row=structs.replace(row, **{"key": key_of(9), **changes}))

    def plant(self, record: SessionRecord, *, key: NodeKey | None = None, name: str | None = None) -> None:
        content = sealed(record, (key or self.dead.key).sign)
        self.put(name or name_of(key_of(9), self.node, content), content)

    def put(self, name: str, content: bytes) -> None:
        self.bucket.records[self.bucket.root + name] = content

    def only(self, record: bytes | None = None) -> str:
        """Leave one record; return its name."""
        name = next(iter(self.bucket.records))
        kept = self.bucket.records[name] if record is None else record
        self.bucket.records.clear()
        self.bucket.records[name] = kept
        return name

    def close(self) -> None:
        self.dead.close()
        self.central.close()


def everything(site: ArchivingSite, number: int) -> list[Any]:
    """What happened in a session."""
    with site.catalogue.looking() as look:
        found = look.one(key_of(number), ALL)
        assert found is not None
        parts = [look.channels(found.id, PART), look.events(found.id, PART), look.alerts(found.id, PART)]
        assert all(matching for _, matching in parts)
        return [*parts, found.has_commands, found.has_titles]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gone]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Gone(tmp_path_factory.mktemp("nodes"), monkeypatch)
        yield made
        made.close()


@pytest.fixture
def gone(nodes: Gone, tmp_path: Path) -> Gone:
    nodes.again(tmp_path / "adopted.db")
    return nodes


def test_all_is_taken_over_once_with_what_happened_in_it(gone: Gone) -> None:
    assert gone.step() == Adopted(adopted=2)
    assert gone.step() == Adopted(present=2)
    assert everything(gone.central, 1) == everything(gone.dead, 1)
    with gone.central.catalogue.looking() as look:
        found = look.one(key_of(1), ALL)
        assert found is not None
        assert [hit.snippet for hit in look.hits(found.id, "secret1")] == ["rm -r secret1"]
    before = gone.dead.row(1)
    assert before.archive is not None
    archive = structs.replace(
        before.archive, policy_key=gone.central.policy, is_here=False, tag="", at=before.ended
    )  # fmt: skip
    assert found.row == structs.replace(before, archive=archive, extra={}, trail=f"{key_of(1)}.dwr")
    assert archive.target == LABEL
    assert gone.central.catalogue.open_sessions() == []
    with gone.central.trails.open(found.row) as trail:
        assert trail.read() == b"trail 1"


def test_it_goes_on_where_it_was(gone: Gone) -> None:
    first = gone.step(seconds=-1.0)
    assert (first.adopted, bool(first.after)) == (1, True)
    assert gone.step(first.after, seconds=-1.0).adopted == 1
    gone.bucket.page_size = 1
    assert gone.step() == Adopted(present=2)


def test_a_kill_between_recording_and_row_leaves_two_records_of_one_session(gone: Gone) -> None:
    gone.plant(gone.record(key=key_of(1)), name=name_of(key_of(1), gone.node, b"another"))
    assert gone.step() == Adopted(adopted=2, present=1)


def test_the_recording_is_held_against_its_digest(gone: Gone) -> None:
    gone.step()
    row = gone.central.row(1)
    assert row.archive is not None
    gone.bucket.objects[row.archive.path] = b"forged!"
    with pytest.raises(Exception, match="is not what was sent there"):
        gone.central.trails.open(row)


def test_commands_of_encrypted_recordings_stay_away_from_the_bucket(gone: Gone) -> None:
    gone.dead.put(3, b"sealed", recipients=("a" * 64,))
    gone.told(3)
    gone.dead.archiver._turn()
    [content] = [content for name, content in gone.bucket.records.items() if key_of(3) in name]
    assert b"secret3" not in content
    assert gone.step().adopted == 3


# A bucket that somebody else writes to


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"node": "another"}, "another session than its name"),
        ({"key": key_of(8)}, "another session than its name"),
        ({"ended": None}, "of no recording"),
        ({"archive": None}, "of no recording"),
        ({"ended": 1}, "can't be read"),
        ({"verdict": "MAYBE"}, "can't be read"),
        ({"down": -1}, "can't be read"),
    ],
)
def test_a_row_that_the_node_signed_has_to_be_one(gone: Gone, change: dict[str, Any], why: str) -> None:
    gone.bucket.records.clear()
    gone.plant(gone.record(**change))
    found = gone.step()
    assert found.adopted == (not why)
    assert (found.left_out, why in "".join(found.named)) == (int(bool(why)), True)


@pytest.mark.parametrize("path", ["../other", "a/./b", "a//b", "/a", "", "a b", "x" * 1025])
def test_a_recording_has_a_place_below_the_bucket(gone: Gone, path: str) -> None:
    gone.bucket.records.clear()
    row = gone.record().row
    assert row.archive is not None
    gone.plant(gone.record(archive=structs.replace(row.archive, path=path)))
    assert "of no place" in gone.step().named[0]


def test_what_the_row_says_of_files_here_counts_for_nothing(gone: Gone) -> None:
    """Deleted with the row is a trail of that very session, whatever was signed."""
    gone.bucket.records.clear()
    gone.plant(gone.record(trail="victim.dwr"))
    gone.step()
    assert gone.central.row(9).trail == f"{key_of(9)}.dwr"
    gone.central.catalogue.delete([1]).result()
    assert gone.central.catalogue.doomed() == [f"{key_of(9)}.dwr"]


def test_what_others_signed_is_left_out(gone: Gone, tmp_path: Path) -> None:
    gone.bucket.records.clear()
    gone.plant(gone.record(), key=NodeKey.at(tmp_path, "x"))
    [said] = gone.step().named
    assert "its signature is not that of the node" in said


@pytest.mark.parametrize(("before", "after"), [(b"jane", b"joan"), (b'number\\":2', b'number\\":3')])
def test_an_edit_is_found(gone: Gone, before: bytes, after: bytes) -> None:
    gone.bucket.records.clear()
    gone.plant(gone.record())
    content = gone.bucket.records[gone.only()]
    assert before in content
    gone.only(content.replace(before, after))
    assert "signature" in gone.step().named[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff", b"[" * 100_000, b'{"session":"{}","signature":"!"}', b'{"session":"\\ud800","signature":""}',
     b" " * (MAX_RECORD + 1), json.dumps({"session": "{}", "signature": "", "more": 1}).encode()],
    ids=["nothing", "no members", "no text", "deep", "no base64", "half a letter", "large", "more"],
)  # fmt: skip
def test_anything_else_is_left_out(gone: Gone, content: bytes) -> None:
    gone.only(content)
    assert gone.step().left_out == 1


def test_names_of_others_are_left_out_and_escaped(gone: Gone) -> None:
    for name in ("README", "\x1b[2J", f"sub/{key_of(9)}-{'0' * 16}.json", f"{key_of(9)}-0.json"):
        gone.put(f"sessions/{gone.node}/{name}", b"x")
    found = gone.step()
    assert (found.adopted, found.left_out) == (2, 4)
    assert len(found.named) == adopting.MAX_NAMED
    assert not any("\x1b" in one for one in found.named)


def test_a_server_that_lists_without_end_is_left(gone: Gone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gone.bucket, "page", lambda *_: [("README", 1)])
    with pytest.raises(NotAdoptedError, match="again and again"):
        gone.step()


def test_as_much_as_fits_is_told_of_a_long_session(gone: Gone, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [EventRow(at=number, type="command", channel=1, action="x" * 1000) for number in range(500)]
    record = structs.replace(gone.record(), events=events)
    monkeypatch.setattr(session_record, "MAX_RECORD", 100_000)
    gone.bucket.records.clear()
    gone.plant(record)
    assert gone.step().adopted == 1
    with gone.central.catalogue.looking() as look:
        assert look.events(1, PART)[1] == 50


# What can't be done


def test_it_is_said_why_nothing_can_be_taken_over(gone: Gone) -> None:
    with pytest.raises(NotAdoptedError, match="no archive policy x"):
        gone.adoption.step("x", gone.node)
    with pytest.raises(NotAdoptedError, match="certificate of the node stranger is not known"):
        gone.adoption.step(gone.central.policy, "stranger")
    gone.living.add(gone.node)
    with pytest.raises(NotAdoptedError, match="remove it from the cluster first"):
        gone.step()
    gone.living.clear()
    gone.bucket.failing["connect"] = "auth_failed"
    with pytest.raises(NotAdoptedError, match="connect fails"):
        gone.step()


def test_a_record_that_can_not_be_put_beside_is_tried_again(gone: Gone) -> None:
    gone.dead.put(4, b"trail 4")
    gone.bucket.failing["keep"] = "connection_lost"
    gone.dead.archiver._turn()
    row: SessionRow = gone.dead.row(4)
    assert not row.is_archived
    assert gone.dead.told.alerts == []
