"""What another node answers is bounded, fits the question, and steers no terminal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import structs

from doorward.sessions.audience import Audience, AudienceGrant
from doorward.sessions.catalogue.results import Frequent, Hit
from doorward.sessions.catalogue.rows import ChannelRow, EventRow, Peer
from doorward.sessions.central.questions import (
    BinsQuestion,
    CountQuestion,
    Filter,
    FoundRow,
    FrequentQuestion,
    Hits,
    HitsQuestion,
    Items,
    ItemsQuestion,
    PageAnswer,
    PageQuestion,
    RowsQuestion,
    SearchQuestion,
    SessionQuestion,
    TrailPieceQuestion,
)
from doorward.sessions.central.untrusted import MAX_TIME, BadAnswerError, read_answer, session_of
from tests.support.recorded import LINUX, key_of, row

ALL = Audience("admin", sees_all=True)
PAGE = PageQuestion(filter=Filter(), sort=("start_time",), limit=2)
KEY = key_of(1)
EVIL = "a\x1b]52;c;ZXZpbA==\x07\u202eb"


def answered(question: SearchQuestion[Any], answer: Any) -> Any:
    return read_answer(question, msgspec.json.encode(answer))


def found(**changes: Any) -> FoundRow:
    return FoundRow(1, row(1, **changes), has_commands=False, has_titles=False)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (PAGE, PageAnswer(3, [1, 2, 3], [[1], [2], [3]])),
        (PAGE, PageAnswer(1, [1, 2], [[1], [2]])),
        (PAGE, PageAnswer(2, [1, 1], [[1], [2]])),
        (PAGE, PageAnswer(2, [1, 2], [[1], [2, 3]])),
        (PAGE, PageAnswer(2, [1, 2], [[1]])),
        (PAGE, PageAnswer(2, [1, -2], [[1], [2]])),
        (PAGE, {"matching": 1, "ids": ["x"], "values": [[1]]}),
        (PAGE, []),
        (CountQuestion(filter=Filter()), -1),
        (CountQuestion(filter=Filter()), 1 << 60),
        (RowsQuestion(ids=[1]), [found()] * 501),
        (SessionQuestion(key=KEY), [found(began=MAX_TIME + 1)]),
        (SessionQuestion(key=KEY), [found(began=-1)]),
        (BinsQuestion(filter=Filter(), field="start_time", width="day"), [["yesterday", 1]]),
        (BinsQuestion(filter=Filter(), field="start_time", width="day"), [["2026-11-29T10:00:00", 1]]),
        (FrequentQuestion(filter=Filter(), field="user.name", size=1), Frequent([("a", 1, []), ("b", 1, [])], 0)),
        (FrequentQuestion(filter=Filter(), field="user.name"), Frequent([("a", -1, [])], 0)),
        (ItemsQuestion(key=KEY, kind="events", limit=1), Items(matching=2, events=[(1, EventRow(at=0, type="x"))] * 2)),
        (ItemsQuestion(key=KEY, kind="events"),
            Items(matching=1, channels=[ChannelRow(number=1, opened=0, type="x", verdict="accept")])),
        (ItemsQuestion(key=KEY, kind="channels"),
            Items(matching=1, channels=[ChannelRow(number=1, opened=MAX_TIME + 1, type="x", verdict="accept")])),
        (HitsQuestion(key=KEY, q="x", limit=1), Hits(2, [Hit(1, 0, "screen", "x", ())] * 2)),
    ],
)  # fmt: skip
def test_what_was_not_asked_for_is_refused(question: SearchQuestion[Any], answer: Any) -> None:
    with pytest.raises(BadAnswerError):
        answered(question, answer)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff", b"[" * 100_000, b'{"matching":1'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswerError):
        read_answer(PAGE, data)


def test_a_piece_of_a_trail_is_no_longer_than_asked_for() -> None:
    question = TrailPieceQuestion(key=KEY, offset=0, size=3)
    assert read_answer(question, b"\x00\xff\x1b") == b"\x00\xff\x1b"
    with pytest.raises(BadAnswerError):
        read_answer(question, b"1234")


def test_text_steers_no_terminal() -> None:
    (one,) = answered(SessionQuestion(key=KEY), [found(policy=EVIL, gateway_user=EVIL, server=Peer("10.0.0.1", 22, EVIL))])
    shown = msgspec.json.encode(one).decode()
    assert "\\u001b" not in shown
    assert "\u202e" not in shown
    assert one.row.policy == "a\\x1b]52;c;ZXZpbA==\\x07\\x202eb"
    channel = ChannelRow(number=1, opened=0, type="session-shell", verdict="accept", facts={"command": EVIL, "EVIL": 1, "x": [1]})
    items = answered(ItemsQuestion(key=KEY, kind="channels"), Items(matching=1, channels=[channel]))
    assert list(items.channels[0].facts) == ["command"]
    assert items.channels[0].facts["command"].isprintable()


def test_marks_lie_within_the_text_that_is_shown() -> None:
    def marks(snippet: str, *given: tuple[int, int]) -> Any:
        return answered(HitsQuestion(key=KEY, q="x"), Hits(1, [Hit(1, 0, "screen", snippet, given)])).hits[0].marks

    assert marks("a needle", (2, 8)) == ((2, 8),)
    assert marks("a needle", (2, 9)) == ()
    assert marks("a needle", (-1, 2)) == ()
    assert marks("\x1bneedle", (1, 7)) == ()


def test_a_session_belongs_to_the_node_that_told_of_it() -> None:
    told = session_of(found(node="another", extra={"x": 1}), "n1", ALL)
    assert told is not None
    assert (told.holder, told.row.node, told.row.extra) == ("n1", "n1", {})


def test_a_session_that_the_audience_may_not_see_is_left_out() -> None:
    auditor = Audience("jane", grants=(AudienceGrant(LINUX, True, False, None, False, False),))
    assert session_of(found(), "n1", auditor) is not None
    assert session_of(found(policy_key="other"), "n1", auditor) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "../../../etc/passwd"},
        {"key": "1" * 22},
        {"verdict": "<script>"},
        {"index_status": "?"},
        {"ended": 5},
        {"recipients": ("x",)},
        {"client": Peer("10.0.0.1", 1 << 16)},
    ],
)
def test_a_session_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadAnswerError):
        session_of(replace_row(found(), changes), "n1", ALL)


def replace_row(one: FoundRow, changes: dict[str, Any]) -> FoundRow:
    return structs.replace(one, row=structs.replace(one.row, **changes))


def test_a_channel_has_few_facts() -> None:
    facts = {f"fact_{letter}{other}": 1 for letter in "abcdef" for other in "abcdef"}
    channel = ChannelRow(number=1, opened=0, type="x", verdict="accept", facts=facts)
    with pytest.raises(BadAnswerError):
        answered(ItemsQuestion(key=KEY, kind="channels"), Items(matching=1, channels=[channel]))
