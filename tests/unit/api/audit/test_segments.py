"""A replay in segments: its trail is passed once, however much of it is watched."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from doorward.api.audit import segments
from doorward.api.audit.service import AuditService
from doorward.api.audit.sessions import SessionList
from doorward.recording.reader import TrailReader
from doorward.recording.segments import Timeline, timeline
from tests.support.recorded import key_of, put_trail, row, shell, tell, trail
from tests.unit.api.audit.parts import ADMIN, request, service
from tests.unit.sessions.test_audience import snapshot


def shown(service: AuditService, path: str) -> Any:
    """What a GET answers."""
    asked = request(path, ADMIN)
    resource: Any = SessionList(service)
    for part in asked.segments[3:]:
        resource = resource.child(part, asked)
    return asyncio.run(resource.get(asked)).content


def test_a_trail_is_passed_once_as_long_as_it_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[int] = []

    def counted(reader: TrailReader) -> Timeline:
        passed.append(reader.size)
        return timeline(reader)

    monkeypatch.setattr(segments, "timeline", counted)
    monkeypatch.setattr(segments, "_MAX_TIMELINES", 2)
    made = service(tmp_path, snapshot(linux=[]))
    trails = {number: trail(shell(20 + number)) for number in (1, 2, 3)}
    for number, content in trails.items():
        tell(made.catalogue, row(number, trail=put_trail(made.trails.directory, key_of(number), content)))

    def one(number: int) -> str:
        return f"api/audit/sessions/{key_of(number)}/segments"

    index = shown(made, one(1))
    assert shown(made, one(1)) == index
    assert [event[2] for event in shown(made, f"{one(1)}/20000")["events"]] == ["", "\r\nsecond 20", ""]
    assert passed == [len(trails[1])]
    # Others take its place once they are watched, and a trail that has become longer is another one.
    for number in (2, 1, 3, 1):
        shown(made, one(number))
    assert passed == [len(trails[1]), len(trails[2]), len(trails[3])]
    longer = trail(shell(30))
    put_trail(made.trails.directory, key_of(1), longer)
    assert shown(made, one(1))["duration"] == 30
    assert passed[3:] == [len(longer)]
    made.catalogue.close()
