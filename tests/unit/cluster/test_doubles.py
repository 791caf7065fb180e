"""Two machines with one identity are told from one that is restarted."""

from __future__ import annotations

import pytest

from doorward.cluster.doubles import Doubles
from doorward.cluster.statuses import NodeReport


def seen(*reports: tuple[str | None, int, float]) -> str | None:
    """What is said at the time of the last of some reports: instance, count, time."""
    doubles = Doubles()
    for instance, sequence, at in reports:
        doubles.saw("n", NodeReport("node", "1", f"10.0.0.{sequence % 2}", at, instance=instance, sequence=sequence), at)
    return doubles.of("n", reports[-1][2])


@pytest.mark.parametrize(
    "reports",
    [
        [("a", number, 10.0 * number) for number in range(20)],
        [("a", 5, 0), ("b", 1, 10), ("b", 2, 20), ("c", 1, 30), ("d", 1, 40)],  # restarted again and again
        [("a", 5, 0), ("b", 1, 1), ("a", 6, 2)],  # the last report before a restart was overtaken by the first one after it
        [(None, 0, 10.0 * number) for number in range(20)],
    ],
)
def test_one_machine(reports: list[tuple[str | None, int, float]]) -> None:
    assert seen(*reports) is None


@pytest.mark.parametrize(
    "reports",
    [
        [("a", 5, 0), ("b", 1, 5), ("a", 6, 10), ("b", 2, 15)],
        [("a", 5, 0), ("a", 5, 1), ("a", 6, 10), ("a", 6, 11)],  # copied while it ran
        [("a", 5, 0), ("a", 6, 1), ("b", 1, 2), ("a", 7, 10), ("b", 2, 12)],
    ],
)
def test_two_machines(reports: list[tuple[str | None, int, float]]) -> None:
    assert (found := seen(*reports)) is not None
    assert "node at 10.0.0." in found


def test_it_is_over_when_one_of_them_is_gone() -> None:
    doubles = Doubles()
    for instance, sequence, at in [("a", 1, 0.0), ("b", 1, 5.0), ("a", 2, 10.0), ("b", 2, 15.0), ("b", 3, 25.0)]:
        doubles.saw("n", NodeReport("node", "1", None, at, instance=instance, sequence=sequence), at)
    assert doubles.of("n", 60.0)
    assert doubles.of("n", 71.0) is None
    assert doubles.of("other", 60.0) is None
    doubles.forget("n")
    assert doubles.of("n", 60.0) is None
