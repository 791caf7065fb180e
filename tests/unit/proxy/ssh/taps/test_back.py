"""Lines of text wait for more of their kind, and for nothing that is told after them."""

from __future__ import annotations

from doorward.proxy.messages import ChannelClosed, PipeMessage, Text
from doorward.proxy.ssh.taps.back import MAX_LINES, TEXT_MILLISECONDS, SessionFindings

CLOSED = ChannelClosed(session="s", number=1, at=900, down=0, up=0, facts={})


def taken(findings: SessionFindings, now: int | None = None) -> list[PipeMessage]:
    back = findings.take(now)
    return back.messages if back is not None else []


def texts(messages: list[PipeMessage]) -> list[list[str]]:
    return [[line for _, _, line in message.lines] for message in messages if isinstance(message, Text)]


def test_lines_of_some_time_are_one_message() -> None:
    findings = SessionFindings("s")
    for at in range(500, 500 + TEXT_MILLISECONDS, 250):
        findings.line(1, at, "screen", f"line at {at}")
        assert taken(findings, at) == []
    assert findings.has_lines
    [lines] = texts(taken(findings, 500 + TEXT_MILLISECONDS))
    assert len(lines) == TEXT_MILLISECONDS // 250
    assert not findings.has_lines


def test_much_text_waits_for_nothing() -> None:
    findings = SessionFindings("s")
    findings.line(1, 0, "screen", "x" * MAX_LINES)
    assert len(texts(taken(findings, 1))) == 1


def test_what_is_told_later_comes_behind_the_lines_at_once() -> None:
    findings = SessionFindings("s")
    findings.line(1, 800, "screen", "a last word")
    findings.tell(CLOSED)
    told = taken(findings, 901)
    assert texts(told) == [["a last word"]]
    assert told[1:] == [CLOSED]


def test_at_the_end_everything_is_taken() -> None:
    findings = SessionFindings("s")
    findings.line(1, 800, "screen", "a last word")
    assert texts(taken(findings)) == [["a last word"]]
