"""Trails in forms that other programs read. What a session sent can't harm whoever looks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doorward.recording.channels import channels, first_terminal
from doorward.recording.export import asciicast, extract, file_name, transcript
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, encode_json, varint
from doorward.recording.replay import replay
from doorward.recording.terminal import AvtTerminal
from tests.unit.recording.trails import opening, output, typed, writer, written

SHELL = [
    *opening(),
    output(100, "$ "),
    typed(400, "ls"),
    output(410, "ls\r\n"),
    output(900, "one\r\ntwo\r\n"),
    Record(1000, RecordKind.RESIZE, 1, encode_json({"columns": 30, "rows": 5})),
    output(1500, "gr\xc3".encode("latin-1")),
    output(1600, b"\xbc\xc3\x9fe"),
    typed(1700, "hunter2", hidden=True),
    Record(2000, RecordKind.EXIT, 1, encode_json({"status": 3})),
]


def reader(records: list[Record] = SHELL) -> TrailReader:
    return TrailReader(written(records))


def test_an_asciicast_of_version_3_has_times_between_events() -> None:
    head, *events = map(json.loads, asciicast(reader(), 1))
    assert head == {"term": {"cols": 20, "rows": 4}, "title": "Session of 2026-11-29T10:00:00Z", "version": 3}
    assert events == [
        [0.1, "o", "$ "],
        [0.31, "o", "ls\r\n"],
        [0.49, "o", "one\r\ntwo\r\n"],
        [0.1, "r", "30x5"],
        [0.5, "o", "gr"],
        [0.1, "o", "üße"],
        [0.4, "x", "3"],
    ]


def test_one_of_version_2_has_times_since_the_start() -> None:
    head, *events = map(json.loads, asciicast(reader(), 1, version=2))
    assert (head["version"], head["width"], head["height"]) == (2, 20, 4)
    assert [event[0] for event in events] == [0.1, 0.41, 0.9, 1.0, 1.5, 1.6]


def test_lines_of_a_program_without_a_terminal_begin_at_the_left() -> None:
    """Its user's own terminal saw to that; nobody else's would."""
    started = [
        Record(0, RecordKind.OPEN, 1, encode_json({"type": "session-exec"})),
        Record(0, RecordKind.REQUEST, 1, encode_json({"command": "uname", "type": "exec"})),
    ]
    records = [
        *started,
        output(100, "Linux\n"),
        output(200, "two\n"),
        Record(70_000, RecordKind.ERROR_OUTPUT, 1, b"three\nfour\n"),
    ]
    assert [line for _, line in transcript(reader(records), 1)] == ["Linux", "two", "three", "four"]
    assert [event[2] for event in map(json.loads, list(asciicast(reader(records), 1))[1:])][:2] == ["Linux\r\n", "two\r\n"]
    late = [json.loads(line) for line in replay(reader(records), 1, 69_000)]
    assert [event[2] for event in late[1:]][-1] == "three\r\nfour\r\n"


def test_what_was_typed_is_in_no_export() -> None:
    whole = "".join(asciicast(reader(), 1)) + "".join(text for _, text in transcript(reader(), 1))
    assert "hunter2" not in whole


def test_a_transcript_has_lines_with_times() -> None:
    assert list(transcript(reader(), 1)) == [(2000, "$ ls"), (2000, "one"), (2000, "two"), (2000, "grüße")]


def test_lines_that_scroll_away_have_the_time_at_which_they_did() -> None:
    lines = [*opening(), *(output(at * 1000, f"line {at}\r\n") for at in range(10))]
    found = list(transcript(reader(lines), 1))
    assert [text for _, text in found] == [f"line {at}" for at in range(10)]
    assert [at for at, _ in found[:4]] == [3000, 4000, 5000, 6000]


def test_escape_sequences_do_not_get_into_text() -> None:
    evil = [*opening(), output(1, "\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2J\x1b[Hafter\x07\x9b")]
    text = "".join(line for _, line in transcript(reader(evil), 1))
    assert "after" in text
    assert all(character.isprintable() for character in text)


def test_a_replay_begins_at_the_keyframe_with_the_screen_as_it_was() -> None:
    terminal = AvtTerminal(20, 4)
    made = writer(keyframes=lambda: [(1, terminal.drawing())])
    parts = [made.head]
    for record in (*opening(), *(output(at * 1000, f"\r\nline {at}") for at in range(200))):
        parts += [*made.write(record), *made.flush()]
        if record.kind is RecordKind.OUTPUT:
            terminal.feed(record.data)
    data = b"".join([*parts, *made.close({}, 200_000)])
    for since in (0, 61_000, 150_000):
        replayed = AvtTerminal(20, 4)
        for line in list(asciicast(TrailReader(data), 1, since=since))[1:]:
            _, kind, text = json.loads(line)
            if kind == "o":
                replayed.feed(text.encode())
        assert replayed.lines() == terminal.lines()


def file(at: int, number: int, path: str, *contents: bytes) -> list[Record]:
    kept = [Record(at, RecordKind.FILE_CONTENT, 2, varint(number) + content) for content in contents]
    facts = {"file": number, "operation": "put", "path": path}
    return [
        Record(at, RecordKind.OPEN, 2, encode_json({"type": "session-subsystem-sftp"})),
        Record(at, RecordKind.FILE, 2, encode_json(facts)),
        *kept,
    ]


def test_kept_files_are_extracted(tmp_path: Path) -> None:
    trail = reader([*file(1, 1, "/srv/data.bin", b"first ", b"second"), *file(2, 2, "report.txt", b"text")])
    found = {path.name: path.read_bytes() for path in extract(trail, tmp_path)}
    assert found == {"0001-data.bin": b"first second", "0002-report.txt": b"text"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/etc/passwd", "0007-passwd"),
        ("../../../x", "0007-x"),
        ("..", "0007-file"),
        ("a/..", "0007-file"),
        ("C:\\windows\\evil.exe", "0007-evil.exe"),
        ("\x1b[2J\n.bashrc", "0007-__2J_.bashrc"),
        ("-rf", "0007--rf"),
        ("é" * 500, "0007-" + "_" * 120),
        ("", "0007-file"),
    ],
)
def test_names_of_extracted_files_are_harmless(path: str, name: str) -> None:
    assert file_name(7, path) == name


def test_nothing_that_is_there_is_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "0001-a").symlink_to(victim)
    with pytest.raises(FileExistsError):
        list(extract(reader(file(1, 1, "a", b"evil")), inside))
    assert victim.read_text() == "kept"


def test_channels_are_told_apart() -> None:
    second = [
        Record(50, RecordKind.OPEN, 2, encode_json({"type": "session-exec"})),
        Record(51, RecordKind.REQUEST, 2, encode_json({"command": "uptime", "type": "exec"})),
        output(60, "up", 2),
        Record(70, RecordKind.CLOSE, 2, encode_json({})),
    ]
    trail = reader([*opening(), *second, output(100, "$ ")])
    found = channels(trail.records())
    assert (found[1].terminal, found[1].size, found[1].output) == (True, (20, 4), 2)
    assert (found[2].command, found[2].end, found[2].terminal) == ("uptime", 70, False)
    assert first_terminal(trail) == 1
    assert first_terminal(reader(second)) == 2
    assert first_terminal(TrailReader(written([]))) is None


@pytest.mark.parametrize("size", [(0, 0), (1_000_000, 2), (1, 1), (9999, 9999)])
def test_a_terminal_of_any_size_is_emulated(size: tuple[int, int]) -> None:
    terminal = AvtTerminal(*size)
    terminal.feed(b"text\r\n" * 10)
    terminal.resize(*reversed(size))
    assert all(1 <= length <= 1000 for length in terminal.size)
    row, column = terminal.cursor
    assert row >= 0
    assert column >= 0
