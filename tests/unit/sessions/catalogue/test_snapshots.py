"""Snapshots: five minutes, five more with each use, so many an account, for that account alone."""

from __future__ import annotations

from array import array

import pytest

from doorward.sessions.catalogue.snapshots import (
    LIFETIME,
    MAX_LIFETIME,
    MAX_OF_ACCOUNT,
    MAX_QUERIES,
    SnapshotQuotaError,
    SnapshotResult,
    Snapshots,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def used(snapshots: Snapshots, account: str, last: int = 7) -> str:
    """A snapshot that somebody has looked at."""
    name = snapshots.open(account, "client", {"": last})
    snapshots.keep(name, "q", SnapshotResult(array("q", [1])))
    return name


def test_it_lives_for_five_minutes_and_for_five_more_with_each_use() -> None:
    clock = Clock()
    snapshots = Snapshots(clock)
    name = used(snapshots, "jane")
    clock.now += LIFETIME - 1
    assert snapshots.use(name, "jane") == {"": 7}
    clock.now += LIFETIME
    assert snapshots.use(name, "jane") == {"": 7}
    clock.now += 2 * LIFETIME
    assert snapshots.use(name, "jane") is None


def test_it_does_not_live_for_ever() -> None:
    clock = Clock()
    snapshots = Snapshots(clock)
    name = used(snapshots, "jane")
    for _ in range(100):
        snapshots.use(name, "jane")
    clock.now += MAX_LIFETIME
    assert snapshots.use(name, "jane") is None


def test_it_is_for_one_account() -> None:
    snapshots = Snapshots()
    name = used(snapshots, "jane")
    assert snapshots.use(name, "bob") is None
    assert snapshots.use("nothing", "jane") is None


def test_one_that_nobody_used_is_handed_out_again() -> None:
    snapshots = Snapshots()
    name = snapshots.open("jane", "client", {"": 7})
    assert snapshots.open("jane", "client", {"": 9}) == name
    assert snapshots.use(name, "jane") == {"": 9}
    assert snapshots.open("jane", "another", {"": 9}) != name
    assert snapshots.open("bob", "client", {"": 9}) != name


def test_there_are_so_many_of_an_account() -> None:
    clock = Clock()
    snapshots = Snapshots(clock)
    for _ in range(MAX_OF_ACCOUNT):
        used(snapshots, "jane")
    with pytest.raises(SnapshotQuotaError) as full:
        used(snapshots, "jane")
    assert full.value.seconds == LIFETIME + 1
    used(snapshots, "bob")
    clock.now += LIFETIME
    used(snapshots, "jane")


def test_results_are_kept_by_query_and_the_oldest_goes() -> None:
    snapshots = Snapshots()
    name = used(snapshots, "jane")
    for number in range(MAX_QUERIES):
        snapshots.keep(name, f"q{number}", SnapshotResult(array("q", [number])))
    assert snapshots.result(name, "q") is None
    assert snapshots.result(name, "q0") == SnapshotResult(array("q", [0]))
    assert snapshots.result("nothing", "q") is None
