"""Replay from any moment: the screen as it was, then what followed."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest

from doorward.recording import segments
from doorward.recording.channels import shown
from doorward.recording.format import TrailDamagedError
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, encode_json
from doorward.recording.replay import replay
from doorward.recording.segments import segment, timeline
from doorward.recording.terminal import AvtTerminal
from doorward.recording.trail_file import TrailFile
from doorward.recording.transfers import transfers
from doorward.recording.writer import RESTART_MILLISECONDS
from tests.unit.recording.trails import opening, output, writer, written

MINUTES = 7


def recorded() -> bytes:
    """A session of some minutes that shows its seconds, and becomes wider in the middle of the third minute."""
    terminal = AvtTerminal(20, 4)
    made = writer(keyframes=lambda: [(1, terminal.drawing())])
    parts = [made.head]

    def put(record: Record) -> None:
        parts.extend(made.write(record))
        if record.kind is RecordKind.OUTPUT:
            terminal.feed(record.data)
        elif record.kind is RecordKind.RESIZE:
            terminal.resize(30, 5)

    for record in opening():
        put(record)
    for second in range(MINUTES * 60):
        put(output(second * 1000 + 500, f"\r\nsecond {second}"))
        if second == 150:
            put(Record(150_600, RecordKind.RESIZE, 1, encode_json({"columns": 30, "rows": 5})))
        parts.extend(made.flush())
    parts.extend(made.close({"reason": "client"}, MINUTES * 60_000))
    return b"".join(parts)


TRAIL = recorded()


def screen(lines: list[str], until: float) -> list[str]:
    """What a player shows after so many seconds."""
    head, *events = map(json.loads, lines)
    terminal = AvtTerminal(head["width"], head["height"])
    for at, code, data in events:
        if at > until:
            break
        if code == "o":
            terminal.feed(data.encode())
        else:
            terminal.resize(*map(int, data.split("x")))
    return terminal.lines()


@pytest.mark.parametrize("second", [0, 1, 59, 61, 100, 149, 151, 200, 240, 299])
def test_any_second_shows_the_screen_as_it_was(second: int) -> None:
    whole = list(replay(TrailReader(TRAIL), 1))
    part = list(replay(TrailReader(TRAIL), 1, second * 1000))
    assert screen(part, 0) == screen(whole, second - 0.001)
    assert screen(part, 10_000) == screen(whole, 10_000)


def test_times_begin_at_the_moment_that_was_asked_for() -> None:
    head, *events = map(json.loads, replay(TrailReader(TRAIL), 1, 200_000))
    assert (head["width"], head["height"], head["version"]) == (30, 5, 2)
    assert [event[0] for event in events][:3] == [0, 0.5, 1.5]
    assert all(one[0] <= other[0] for one, other in pairwise(events))


def test_a_moment_behind_the_end_shows_the_last_screen() -> None:
    lines = list(replay(TrailReader(TRAIL), 1, 3_600_000))
    assert len(lines) == 2
    assert f"second {MINUTES * 60 - 1}" in lines[1]


def test_keyframes_in_between_are_not_shown() -> None:
    kinds = [record.kind for record in shown(TrailReader(TRAIL), 1)]
    assert RecordKind.KEYFRAME not in kinds
    assert kinds.count(RecordKind.RESIZE) == 1


def test_only_what_follows_the_restart_before_is_decrypted() -> None:
    records = list(shown(TrailReader(TRAIL), 1, 400_000))
    assert records[0].at >= 400_000 - RESTART_MILLISECONDS
    assert [record.kind for record in records[:2]] == [RecordKind.RESIZE, RecordKind.KEYFRAME]


def test_the_index_is_found_at_the_end() -> None:
    index = TrailReader(TRAIL).index()
    assert index is not None
    assert [channel["channel"] for channel in index["channels"]] == [1]
    at = [moment for _, moment in index["keyframes"]]
    settled = next(moment for moment, after in pairwise(at) if after - moment > 2000)  # until then each frame begins anew
    assert settled < 60_000
    assert len([moment for moment in at if moment >= settled]) == 1 + (MINUTES * 60_000 - settled) // RESTART_MILLISECONDS
    assert TrailReader(TRAIL[:-40]).index() is None


def test_a_file_reads_as_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    path.write_bytes(TRAIL)
    with path.open("rb") as file:
        data = TrailFile(file.fileno())
        assert len(data) == len(TRAIL)
        assert data[:50] + data[50:] == TRAIL
        assert data[10:20] == TRAIL[10:20]
        assert data[len(TRAIL) - 5 : len(TRAIL) + 5] == TRAIL[-5:]
        assert list(replay(TrailReader(data), 1, 90_000)) == list(replay(TrailReader(TRAIL), 1, 90_000))


def test_a_file_that_becomes_shorter_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    path.write_bytes(bytes(1_000_000))
    with path.open("rb") as file:
        data = TrailFile(file.fileno())
        os.truncate(path, 10)
        with pytest.raises(TrailDamagedError):
            data[500_000:500_010]


def test_a_wide_character_fits_into_no_column_and_harms_nobody() -> None:
    terminal = AvtTerminal(80, 1)
    terminal.feed("🎉".encode())
    terminal.resize(1, 24)
    terminal.feed(b"on\r\n")
    assert terminal.size[1] == len(terminal.lines()) == 24


def test_a_panic_of_the_emulator_costs_the_picture_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("doorward.recording.terminal._MIN_COLUMNS", 1)
    terminal = AvtTerminal(80, 1)
    terminal.feed("🎉".encode())
    assert terminal.resize(1, 24) == []
    assert "panicked" in capfd.readouterr().err
    terminal.resize(20, 4)
    terminal.feed(b"new")
    assert terminal.lines()[0] == "new"


def test_segments_together_show_what_the_whole_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 500)
    reader = TrailReader(TRAIL)
    line = timeline(reader)
    assert len(line.starts) > 5
    # Both minutes of the compression begin segments; whoever was told of them finds the same as who looks.
    assert {at for at, _ in line.landmarks.restarts} & {*line.starts[1:]}
    informed = TrailReader(TRAIL)
    informed.landmarks = line.landmarks
    assert (line.starts[0], line.until) == (0, MINUTES * 60_000)
    whole = list(replay(reader, 1))
    shown_so_far = 0.0
    for start, end in zip(line.starts, [*line.starts[1:], None], strict=True):
        made = segment(reader, 1, start, end)
        assert segment(informed, 1, start, end) == made
        times = [event[0] for event in made["events"]]
        assert times == sorted(times)
        assert times[0] == start / 1000 >= shown_so_far
        shown_so_far = times[-1]
        assert shown_so_far < end / 1000 if end is not None else shown_so_far == line.until / 1000
        size = made["snapshot"]
        lines = [json.dumps({"width": size["cols"], "height": size["rows"]}), json.dumps([0, "o", size["init"]])]
        lines += [json.dumps(event) for event in made["events"]]
        assert screen(lines, shown_so_far) == screen(whole, shown_so_far)


def test_the_timeline_knows_when_nothing_was_shown() -> None:
    made = writer()
    parts = [made.head]
    for record in (*opening(), output(1_000, "one"), output(61_000, "two")):
        parts.extend(made.write(record))
        parts.extend(made.flush())
    parts.extend(made.close({"reason": "client"}, 62_000))
    assert timeline(TrailReader(b"".join(parts))).idle == ((1_000, 60_000),)


def test_what_compresses_well_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood takes few bytes of a trail and thousands of times more when it is shown: the screen stands in its place."""
    monkeypatch.setattr(segments, "MAX_OUTPUT", 10_000)
    flood = [output(at * 100, "flood\r\n" * 100) for at in range(1, 600)]
    records = [*opening(), *flood, output(60_100, "$ rm -rf /\r\n"), output(60_200, "\xe4\r\n"), output(60_300, "bye")]
    reader = TrailReader(written(records))
    made = segment(reader, 1, 0, None)
    assert sum(len(str(event[2])) for event in made["events"]) < 40_000
    times = [event[0] for event in made["events"]]
    assert times == sorted(times)
    size = made["snapshot"]
    lines = [json.dumps({"width": size["cols"], "height": size["rows"]}), *map(json.dumps, made["events"])]
    assert screen(lines, 100) == screen(list(replay(reader, 1)), 100)
    assert screen(lines, 30) == ["flood", "flood", "flood", ""]


def test_a_timeline_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_PARTS", 3)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)
    made = written([*opening(), *(output(at * 10_000, str(at)) for at in range(1, 20))], flush_each=1)
    line = timeline(TrailReader(made))
    assert (len(line.starts), len(line.idle)) == (3, 3)


def test_files_have_sizes_and_names_that_can_be_told() -> None:
    told = b'{"file":1,"operation":"get","path":"/tmp/\\ud800","result":["x"],"size":99999999999999999999}'
    (one,) = transfers(TrailReader(written([*opening(), Record(5, RecordKind.FILE, 1, told)])))
    assert (one.path, one.size, one.result) == ("/tmp/?", None, "['x']")
