"""What runs are made of on a real node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from doorward.backup.parts import NodeParts

NOW = datetime(2026, 11, 21, 23, 0, 2, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "stamps"),
    [
        ([0, 0.1, 0.2], [2, 3, 4]),
        ([0, 0.1, 2.0], [2, 3, 4]),
        ([0, 5.0], [2, 7]),
        ([0, -3600.0], [2, -3598]),
    ],
)
def test_no_two_archives_have_the_same_second(after: list[float], stamps: list[int]) -> None:
    times = iter(NOW + timedelta(seconds=seconds) for seconds in after)
    unused = cast("Any", None)
    parts = NodeParts(unused, unused, unused, lambda: next(times))
    minute = NOW.replace(second=0, microsecond=0)
    assert [parts._moment() for _ in after] == [minute + timedelta(seconds=stamp) for stamp in stamps]
