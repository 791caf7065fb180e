"""Which files go: ours only, by number and age; left-overs of ours after a day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.backup.names import archive_name
from doorward.backup.retention import Pair, delete, expired, pairs, present, sweep
from doorward.backup.signing import NodeSigningKeys
from doorward.backup.targets.port import TargetFile
from doorward.backup.targets.probes import PREFIX, Probes
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.unit.backup.fakes import NODE, Clock, MemoryTarget

OTHER = "11111111-4028-467d-9a22-9cfe78ae3e1c"
NOW = Clock()()
FILES = st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=12, unique_by=lambda file: file[0])
"""Age in days, and whether it is ours."""


@pytest.fixture
def probes(tmp_path: Path, store: SqliteStore) -> Probes:
    return Probes(NodeSigningKeys(tmp_path, store))


def found(*ages: int) -> list[Pair]:
    """Pairs of so many days, newest first."""
    made = []
    for age in sorted(ages):
        created = NOW - timedelta(days=age)
        name = archive_name(created, NODE, encrypted=True)
        made.append(Pair(name, created, TargetFile(f"{name}.manifest", 9, None)))
    return made


def retention(days: int, last: int) -> dict[str, Any]:
    return {"enabled": True, "keep_days": days, "keep_last": last}


def every(pairs: list[Pair]) -> set[str]:
    """Their names."""
    return {pair.name for pair in pairs}


def ages(gone: list[Pair]) -> list[int]:
    return [(NOW - pair.created).days for pair in gone]


def test_old_ones_beyond_the_newest_go_oldest_first() -> None:
    assert ages(expired(found(1, 5, 20, 40, 60), retention(10, 2), every, NOW)) == [60, 40, 20]
    assert ages(expired(found(20, 40, 60), retention(10, 2), every, NOW)) == [60]
    assert expired(found(20, 40), retention(10, 2), every, NOW) == []
    assert expired(found(1, 2, 3), retention(10, 1), every, NOW) == []
    assert expired(found(100, 200), {"enabled": False}, every, NOW) == []


@pytest.mark.parametrize("jump", [timedelta(hours=11), timedelta(days=60), timedelta(days=5 * 365)])
def test_a_clock_that_was_stepped_ahead_deletes_nothing_before_it_stood_for_a_day(jump: timedelta) -> None:
    kept, policy, later = found(1, 2, 3, 4, 5, 6), retention(10, 2), NOW + jump

    def made(at: timedelta) -> Pair:
        name = archive_name(later + at, NODE, encrypted=True)
        return Pair(name, later + at, TargetFile(f"{name}.manifest", 9, None))

    for hours in (0, 1, 23):  # runs of that day, as many as there may be
        kept = [made(timedelta(hours=hours)), *kept]
        assert expired(kept, policy, every, present(kept, kept[0].created)) == []
    kept = [made(timedelta(hours=25)), *kept]
    gone = expired(kept, policy, every, present(kept, kept[0].created))
    assert len(gone) == (6 if jump > timedelta(days=10) else 0)


def test_a_clock_that_was_set_back_deletes_nothing_more() -> None:
    kept = found(1, 2, 30, 40)
    early = NOW - timedelta(days=35)
    assert present(kept, early) <= early
    assert ages(expired(kept, retention(10, 1), every, present(kept, early))) == []


def test_a_node_that_was_off_for_long_deletes_a_day_later() -> None:
    kept, policy = found(0, 50, 51, 52), retention(10, 1)
    assert expired(kept, policy, every, present(kept, NOW)) == []
    tomorrow = NOW + timedelta(days=1, hours=1)
    assert ages(expired(kept, policy, every, present(kept, tomorrow))) == [52, 51, 50]


def test_what_is_not_provably_ours_neither_goes_nor_counts_as_kept() -> None:
    listed = found(20, 30, 40, 50)
    foreign = {listed[0].name, listed[3].name}
    assert ages(expired(listed, retention(10, 1), lambda pairs: every(pairs) - foreign, NOW)) == [40]


def test_no_signature_is_looked_at_while_nothing_is_old_enough() -> None:
    def look(_pairs: list[Pair]) -> set[str]:
        raise AssertionError

    assert expired(found(1, 2, 3), retention(10, 1), look, NOW) == []
    assert expired(found(100, 200), retention(10, 2), look, NOW) == []


@given(
    st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=12, unique_by=lambda file: file[0]),
    st.integers(1, 90),
    st.integers(1, 6),
)
def test_the_rule_holds_for_any_files(files: list[tuple[int, bool]], days: int, last: int) -> None:
    listed = found(*(age for age, _ in files))
    ours = {pair.name for pair, (_, own) in zip(listed, sorted(files), strict=True) if own}
    gone = {pair.name for pair in expired(listed, retention(days, last), lambda pairs: every(pairs) & ours, NOW)}
    own = [pair for pair in listed if pair.name in ours]
    assert gone <= ours
    for pair in listed:
        newest = [kept.name for kept in own[:last]]
        if pair.name in ours and pair.name not in newest and NOW - pair.created > timedelta(days=days):
            assert pair.name in gone
        if pair.name in newest or NOW - pair.created < timedelta(days=days):
            assert pair.name not in gone


def test_pairs_are_archives_of_this_node_with_a_manifest() -> None:
    mine, lonely = archive_name(NOW, NODE, encrypted=False), archive_name(NOW - timedelta(days=1), NODE, encrypted=False)
    theirs = archive_name(NOW, OTHER, encrypted=False)
    names = [mine, f"{mine}.manifest", lonely, theirs, f"{theirs}.manifest", f"{lonely}.gpg.manifest", f".{mine}.part", "notes"]
    assert [pair.name for pair in pairs([TargetFile(name, 1, None) for name in names], NODE)] == [mine]


def test_the_archive_goes_before_its_manifest() -> None:
    target = MemoryTarget(Clock())
    [pair] = found(3)
    delete(target, [pair])
    assert target.calls == [("delete", pair.name), ("delete", f"{pair.name}.manifest")]


def test_left_overs_go_after_a_day(tmp_path: Path, probes: Probes) -> None:
    clock = Clock()
    target = MemoryTarget(clock)
    hour = 3600
    target.leftovers = [
        TargetFile("young", 1, clock().timestamp() - 23 * hour),
        TargetFile("old", 1, clock().timestamp() - 25 * hour),
        TargetFile("timeless", 1, None),
    ]
    sweep(target, clock(), probes, tmp_path)
    assert target.calls == [("delete", "old")]


def test_old_probes_go_that_this_node_has_signed_and_no_others(tmp_path: Path, probes: Probes) -> None:
    clock = Clock()
    target = MemoryTarget(clock)
    (tmp_path / "stranger").mkdir()
    stranger = Probes(NodeSigningKeys(tmp_path / "stranger", SqliteStore(tmp_path / "stranger.db", Vault(bytes(32)))))
    (old, content), (young, other), (theirs, of_theirs) = probes.new(), probes.new(), stranger.new()
    copied, _ = probes.new()
    altered, changed = probes.new()
    target.content = {
        old: content, young: other, theirs: of_theirs, copied: content, altered: changed.replace(b"0", b"1", 1),
        f"{PREFIX}no-uuid": content, f"{PREFIX}{UUID(int=1)}": b"", f"{PREFIX}{UUID(int=2)}": b"[]",
    }  # fmt: skip
    ages = {name: 59 if name == young else 61 for name in target.content}
    target.times = {name: (clock() - timedelta(minutes=age)).timestamp() for name, age in ages.items()}
    target.leftovers = [
        *target.names(),
        TargetFile(f"{PREFIX}{UUID(int=3)}", 9000, 0.0),
        TargetFile(f"{PREFIX}{UUID(int=4)}", 9, 0.0),
    ]
    sweep(target, clock(), probes, tmp_path)
    assert [name for did, name in target.calls if did == "delete"] == [old]
    assert 3800 < len(content) < 4200
