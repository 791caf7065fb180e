"""What is written to a trail is read back; what was changed, cut or left out is found."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.recording.format import MAGIC, Flag, Stream, TrailDamagedError, frames, read_beginning
from doorward.recording.keys import ContentKeys
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, decode, encode, encode_json, read_varint, varint
from doorward.recording.writer import FEW_BYTES, RESTART_MILLISECONDS, TrailWriter
from tests.unit.recording.trails import HEADER, opening, output, typed, writer, written

SHELL = [
    *opening(),
    output(10, "$ "),
    typed(500, "l"),
    output(501, "l"),
    typed(900, "secret", hidden=True),
    output(1500, "ok\r\n"),
]


def content(data: bytes, *streams: Stream) -> list[Record]:
    return [record for record in TrailReader(data).records(*streams) if record.kind not in {RecordKind.END, RecordKind.INDEX}]


def test_what_was_written_is_read_in_order_of_time() -> None:
    assert content(written(SHELL)) == SHELL


records = st.lists(
    st.builds(
        Record,
        st.just(0),
        st.sampled_from(
            [RecordKind.OUTPUT, RecordKind.INPUT, RecordKind.ERROR_OUTPUT, RecordKind.HIDDEN_INPUT, RecordKind.FILE_CONTENT]
        ),
        st.integers(0, 1 << 20),
        st.binary(max_size=300),
    ),
    max_size=40,
)


@given(records, st.lists(st.integers(0, 90_000), min_size=40, max_size=40), st.integers(1, 9))
def test_anything_is_read_back(made: list[Record], steps: list[int], flush_each: int) -> None:
    time = 0
    timed = []
    for record, step in zip(made, steps, strict=False):
        time += step
        timed.append(Record(time, record.kind, record.channel, record.data))
    data = written(timed, flush_each=flush_each)
    found = content(data)
    for stream in (Stream.SCREEN, Stream.KEYS):
        of_keys = {RecordKind.INPUT, RecordKind.HIDDEN_INPUT}
        wanted = [record for record in timed if (record.kind in of_keys) == (stream is Stream.KEYS)]
        assert content(data, stream) == wanted
    assert sorted(found, key=lambda record: record.at) == found
    assert TrailReader(data).verify().damage is None


def test_times_never_go_back() -> None:
    data = written([output(1000, "a"), output(400, "b"), output(1200, "c")])
    assert [(record.at, record.data) for record in content(data)] == [(1000, b"a"), (1000, b"b"), (1200, b"c")]


@pytest.mark.parametrize("flush_each", [1, 4])
def test_wherever_it_is_cut_everything_before_is_there(flush_each: int) -> None:
    data = written(SHELL, flush_each=flush_each)
    _, first = read_beginning(data)
    ends = [frame.end for frame in frames(data, first)]
    whole = list(TrailReader(data).records())
    for length in range(first, len(data)):
        reader = TrailReader(data[:length])
        found = list(reader.records())
        verdict = reader.verify()
        assert verdict.damage is None
        assert verdict.frames == sum(end <= length for end in ends)
        assert verdict.cut == length - max((end for end in ends if end <= length), default=first)
        assert all(record in whole for record in found)
        assert not verdict.ended or length >= ends[-2]
    for length in range(first):
        with pytest.raises(TrailDamagedError):
            TrailReader(data[:length])


def test_every_changed_bit_is_found() -> None:
    data = written(SHELL)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        try:
            reader = TrailReader(bytes(changed))
            verdict = reader.verify()
        except TrailDamagedError:
            continue
        assert verdict.damage is not None or verdict.cut or verdict.opened != {Stream.SCREEN, Stream.KEYS}, at


def test_frames_can_not_be_left_out_or_exchanged() -> None:
    data = written(SHELL, flush_each=1)
    _, first = read_beginning(data)
    found = list(frames(data, first))
    pieces = [data[frame.offset : frame.end] for frame in found]
    for index in range(len(pieces) - 1):
        fewer = data[:first] + b"".join(pieces[:index] + pieces[index + 1 :])
        swapped = data[:first] + b"".join([*pieces[:index], pieces[index + 1], pieces[index], *pieces[index + 2 :]])
        for forged in (fewer, swapped):
            damage = TrailReader(forged).verify().damage
            assert damage is not None
            assert damage.frame == index + 1


def test_a_trail_that_ended_says_so_and_has_an_index() -> None:
    data = written([*SHELL, Record(1600, RecordKind.CLOSE, 1, encode_json({}))], end=2000)
    reader = TrailReader(data)
    assert reader.verify().ended
    assert reader.until == 2000
    _, first = read_beginning(data)
    assert [frame.flags for frame in frames(data, first)][-1] & Flag.INDEX
    [index] = [record.content for record in reader.records() if record.kind is RecordKind.INDEX]
    assert index["channels"] == [{"channel": 1, "from": 0, "to": 1600, "type": "session-shell"}]


def test_keystrokes_take_their_own_key() -> None:
    keys = ContentKeys.fresh()
    made = writer(keys)
    parts = [made.head, *(frame for record in SHELL for frame in made.write(record)), *made.close({}, 2000)]
    reader = TrailReader(b"".join(parts))
    reader.keys = ContentKeys(screen=keys.screen)
    assert {record.kind for record in reader.records()} & {RecordKind.INPUT, RecordKind.HIDDEN_INPUT} == set()
    assert b"secret" not in b"".join(record.data for record in reader.records())
    verdict = reader.verify()
    assert verdict.damage is None
    assert verdict.opened == {Stream.SCREEN}
    reader.keys = ContentKeys(keystrokes=keys.screen)
    assert reader.verify().damage is not None


def test_any_second_is_reached_from_the_restart_before_it() -> None:
    drawn: list[int] = []
    spoken = [*opening(), *(output(at * 1000, f"line {at}") for at in range(700))]

    def keyframes() -> list[tuple[int, bytes]]:
        drawn.append(len(drawn))
        return [(1, b"drawing %d" % len(drawn))]

    made = writer(keyframes=keyframes)
    parts = [made.head]
    early = 0
    for record in spoken:
        parts += [*made.write(record), *made.flush()]
        if made._blocks[Stream.SCREEN].compressor is None:
            early = len(drawn)
    data = b"".join([*parts, *made.close({}, 700_000)])
    reader = TrailReader(data)
    assert len(drawn) - early == 1 + 700_000 // RESTART_MILLISECONDS
    since = list(reader.records(Stream.SCREEN, since=500_000))
    assert [record.kind for record in since[:2]] == [RecordKind.RESIZE, RecordKind.KEYFRAME]
    assert 500_000 - RESTART_MILLISECONDS <= since[0].at <= 500_000
    assert [record for record in since if record.kind is RecordKind.OUTPUT][-1].data == b"line 699"
    assert [r.at for r in reader.records(since=0)] == [r.at for r in reader.records()]


def test_a_stream_that_has_said_little_keeps_no_compressor_and_begins_anew_with_each_frame() -> None:
    made = writer()
    parts = [made.head, *(frame for record in opening() for frame in made.write(record))]
    said = 0
    while said <= FEW_BYTES + 400:
        record = output(said, f"{said:0100}")
        parts += [*made.write(record), *made.flush()]
        said += 100
        assert made._blocks[Stream.KEYS].compressor is None
        if said < FEW_BYTES // 2:
            assert made._blocks[Stream.SCREEN].compressor is None
    assert made._blocks[Stream.SCREEN].compressor is not None
    data = b"".join([*parts, *made.close({}, said)])
    _, first = read_beginning(data)
    anew = [bool(frame.flags & Flag.RESTART) for frame in frames(data, first)]
    assert anew.index(False) > FEW_BYTES // 200
    assert not any(anew[anew.index(False) :])
    assert TrailReader(data).verify().ended
    assert [record.data for record in content(data)][-1] == f"{said - 100:0100}".encode()


def test_much_output_is_cut_into_frames_of_their_own() -> None:
    made = writer()
    framed = [frame for index in range(40) for frame in made.write(output(index, b"x" * 32_768))]
    assert len(framed) == 5
    assert len(b"".join(framed)) < 40_000


def test_an_hour_of_typing_is_small() -> None:
    """A line every 4 seconds, with a screen of output: as the aim for the size of trails has it."""
    made = writer()
    size = len(made.head)
    for second in range(3600):
        for part in range(2):
            at = second * 1000 + part * 400
            frames_of = [*made.write(typed(at, "l")), *made.write(output(at + 2, "l"))]
            size += sum(map(len, frames_of))
        if second % 16 == 0:
            listing = "\r\n".join(f"-rw-r--r-- 1 user user {second * line} Nov 29 10:{line:02} file-{line}" for line in range(20))
            size += sum(map(len, made.write(output(second * 1000 + 500, listing))))
        size += sum(map(len, made.flush()))
    assert size < 400_000


@pytest.mark.parametrize(
    "data", [b"", b"no trail at all", MAGIC, MAGIC + b"\xff\xff\xff\xff", MAGIC + b"\0\0\0\2{}", MAGIC + b"\0\0\0\1["]
)
def test_what_is_no_trail_is_refused(data: bytes) -> None:
    with pytest.raises(TrailDamagedError):
        TrailReader(data)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_garbage_in_a_frame_is_damage_and_nothing_else(data: bytes) -> None:
    try:
        for record in decode(data):
            if record.kind in {RecordKind.OPEN, RecordKind.FACTS}:
                assert isinstance(record.content, dict)
    except TrailDamagedError:
        pass


def test_kinds_of_a_later_release_are_passed_over() -> None:
    later = bytearray(encode(output(5, "a"), 0))
    later[1] = 99
    assert list(decode(bytes(later) + encode(output(6, "b"), 5))) == [output(6, "b")]


@given(st.integers(0, 1 << 62))
def test_numbers_are_read_back(value: int) -> None:
    assert read_varint(varint(value), 0) == (value, len(varint(value)))


def test_the_header_is_clear_and_has_no_content() -> None:
    header = json.loads(read_beginning(written(SHELL))[0])
    assert header["session"] == HEADER["session"]
    assert header["format"] == 1
    assert set(header["keys"]) == {"screen", "keystrokes"}


def test_a_trail_is_written_with_both_keys() -> None:
    with pytest.raises(ValueError, match="both keys"):
        TrailWriter(HEADER, {}, ContentKeys(screen=b"x" * 32))
