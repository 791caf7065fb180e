"""Trails that are not where their sessions have them are named."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from msgspec import structs

from doorward.sessions.catalogue.rows import Peer, SessionRow, TrailArchive
from doorward.sessions.catalogue.sqlite.tables import open_for_writing
from doorward.sessions.catalogue.sqlite.writing import SqliteStatements
from doorward.sessions.trail_checks import check_trails
from doorward.sessions.trails import Trails

if TYPE_CHECKING:
    from pathlib import Path

HERE = Peer("192.0.2.1", 22)


PLACE = TrailArchive(policy_key="a", policy="a", target="s3://s3.example.com/b", path="p/lost.dwr", size=5, sha256="")


def archived(*, is_here: bool = True) -> dict[str, Any]:
    return {"is_archived": True, "archive": structs.replace(PLACE, at=9, is_here=is_here)}


def test_trails_that_are_gone_or_cut_off_are_named(tmp_path: Path) -> None:
    rows: dict[str, dict[str, Any]] = {
        "whole": {}, "gone": {}, "cut": {}, "running": {"ended": None}, "elsewhere": {"node": "m"},
        "archived": {"is_archived": True}, "unrecorded": {"trail": ""}, "left": archived(is_here=False), "lost": archived(),
        "pending": {"archive": PLACE},
    }  # fmt: skip
    with closing(open_for_writing(tmp_path / "sessions.db")) as connection:
        for number, (key, changes) in enumerate(rows.items(), 1):
            common: dict[str, Any] = {
                "key": key, "number": number, "began": number, "ended": 9, "node": "n", "policy": "p", "policy_key": "k",
                "channel_policy": "c", "client": HERE, "target": HERE, "trail": f"{key}.dwr", "trail_bytes": 5,
            }  # fmt: skip
            assert SqliteStatements(connection).insert(SessionRow(**common | changes)) == number
    (tmp_path / "whole.dwr").write_bytes(b"trail and seals")
    (tmp_path / "cut.dwr").write_bytes(b"tra")
    assert list(check_trails(tmp_path / "sessions.db", Trails(tmp_path), "n")) == [
        "The trail of the session gone is missing.",
        "The trail of the session cut was cut off: it has 3 bytes, and 5 were recorded.",
        "The trail of the session lost is missing. The archive has it: p/lost.dwr in s3://s3.example.com/b.",
        "The trail of the session pending is missing.",
    ]
