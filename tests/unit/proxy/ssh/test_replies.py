"""Answers keep the order of their questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.proxy.ssh.replies import MAX_OPEN, Replies
from doorward.proxy.ssh.wire.errors import ProtocolViolationError


@given(st.lists(st.sampled_from(["ask", "own", "refuse", "answer"]), max_size=60))
def test_whoever_answers_the_order_is_that_of_the_questions(steps: list[str]) -> None:
    sent: list[bytes] = []
    replies = Replies(sent.append)
    questions: list[bytes | None] = []
    awaited: list[int | None] = []
    for step in steps:
        if step == "ask":
            awaited.append(len(questions))
            questions.append(None)
            replies.expect()
        elif step == "own":
            awaited.append(None)
            replies.expect_own()
        elif step == "refuse":
            questions.append(b"no %d" % len(questions))
            replies.answer(questions[-1] or b"")
        elif awaited:
            number = awaited.pop(0)
            answer = b"yes %d" % number if number is not None else b"to ourselves"
            if number is not None:
                questions[number] = answer
            replies.take(answer)
    ready = questions.index(None) if None in questions else len(questions)
    assert sent == questions[:ready]


def test_an_answer_to_nothing_is_a_violation() -> None:
    with pytest.raises(ProtocolViolationError):
        Replies(lambda _: None).take(b"x")


def test_questions_do_not_pile_up() -> None:
    replies = Replies(lambda _: None)
    for _ in range(MAX_OPEN):
        replies.expect()
    with pytest.raises(ProtocolViolationError):
        replies.expect()


def test_who_waits_for_an_answer_gets_it_before_it_is_sent() -> None:
    order: list[str] = []
    replies = Replies(lambda payload: order.append(f"sent {payload.decode()}"))
    replies.expect(lambda payload: order.append(f"seen {payload.decode()}"))
    replies.take(b"it")
    assert order == ["seen it", "sent it"]
