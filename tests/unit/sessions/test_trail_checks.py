"""Trails that are not where their sessions have them are named."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from doorward.sessions.catalogue.rows import Peer, SessionRow
from doorward.sessions.catalogue.tables import insert, open_for_writing
from doorward.sessions.trail_checks import check_trails
from doorward.sessions.trails import Trails

if TYPE_CHECKING:
    from pathlib import Path

HERE = Peer("192.0.2.1", 22)


def test_trails_that_are_gone_or_cut_off_are_named(tmp_path: Path) -> None:
    rows: dict[str, dict[str, Any]] = {
        "whole": {}, "gone": {}, "cut": {}, "running": {"ended": None}, "elsewhere": {"node": "m"},
        "archived": {"is_archived": True}, "unrecorded": {"trail": ""},
    }  # fmt: skip
    with closing(open_for_writing(tmp_path / "sessions.db")) as connection:
        for number, (key, changes) in enumerate(rows.items(), 1):
            common: dict[str, Any] = {
                "key": key, "number": number, "began": number, "ended": 9, "node": "n", "policy": "p", "policy_key": "k",
                "channel_policy": "c", "client": HERE, "target": HERE, "trail": f"{key}.dwr", "trail_bytes": 5,
            }  # fmt: skip
            assert insert(connection, SessionRow(**common | changes)) == number
    (tmp_path / "whole.dwr").write_bytes(b"trail and seals")
    (tmp_path / "cut.dwr").write_bytes(b"tra")
    assert list(check_trails(tmp_path / "sessions.db", Trails(tmp_path), "n")) == [
        "The trail of the session gone is missing.",
        "The trail of the session cut was cut off: it has 3 bytes, and 5 were recorded.",
    ]
