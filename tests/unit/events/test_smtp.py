"""Mail servers that are slow, die at a bad moment, say too much, or are at one of several addresses; over real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from doorward.events import smtp
from doorward.events.mail import Mail, MailError, deliver
from tests.support.waiting import PATIENCE
from tests.unit.events.parts import snapshot

MAIL = Mail("id", "a@example.com", "Subject", ".begins with a dot\n..\nend", 0.0, 0.0)
LATE = 1.5
"""Seconds: more than a client of no patience waits."""

Say = Callable[[str], str | None]


class Scripted:
    """A mail server that answers each line by a function, and keeps the mails whose end it saw. None ends the conversation."""

    def __init__(self, answer: Say, address: str = "127.0.0.1") -> None:
        self._answer, self.mails, self.tries = answer, list[str](), 0
        self._listening = socket.create_server((address, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.tries += 1
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as file:

            def say(to: str) -> bool:
                answer = self._answer(to)
                if answer is None:
                    return False
                file.write(answer.encode() + b"\r\n")
                file.flush()
                return True

            going = say("greeting")
            while going and (line := file.readline()):
                going = say(line.decode().strip().partition(" ")[0].upper())
                if going and line.startswith(b"DATA"):
                    text = ""
                    while (row := file.readline().decode()) not in {".\r\n", ""}:
                        text += row.removeprefix(".")
                    self.mails.append(text)
                    going = say("end")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def usual(to: str) -> str:
    return {"greeting": "220 mail", "DATA": "354 go on", "QUIT": "221 bye"}.get(to, "250 fine")


def otherwise(answer: Callable[[], str | None], at: str) -> Say:
    return lambda to: answer() if to == at else usual(to)


def after(seconds: float, text: str) -> Callable[[], str]:
    def answer() -> str:
        threading.Event().wait(seconds)
        return text

    return answer


@contextmanager
def serving(answer: Say = usual, address: str = "127.0.0.1") -> Iterator[Scripted]:
    server = Scripted(answer, address)
    try:
        yield server
    finally:
        server.close()


def sent(port: int, name: str = "127.0.0.1", **how: Any) -> None:
    kind = "ip" if name[0].isdigit() else "fqdn"
    settings = {
        "smtp_server": {"selection": kind, "value": name}, "smtp_port": port, "smtp_encryption": {"selection": "disabled"},
    }  # fmt: skip
    deliver(snapshot(management__email=settings), MAIL, lambda _key: None, **how)


def failed(port: int, **how: Any) -> MailError:
    with pytest.raises(MailError) as found:
        sent(port, **how)
    return found.value


def test_a_mail_arrives_as_it_is() -> None:
    with serving() as server:
        sent(server.port)
        [text] = server.mails
        assert "\r\n\r\n.begins with a dot\r\n..\r\nend\r\n" in text
        assert "Message-ID: <id@doorward1.example.com>" in text


@pytest.mark.parametrize("step", ["greeting", "end"])
def test_a_server_that_answers_late_gets_one_copy(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may take longer than everything else."""
    for name in ("CONNECT_SECONDS", "BLOCK_SECONDS", "_LEAVE_SECONDS"):
        monkeypatch.setattr(smtp, name, LATE - 0.5)
    with serving(otherwise(after(LATE, usual(step)), step)) as server:
        sent(server.port)
        assert (len(server.mails), server.tries) == (1, 1)


def test_the_times_are_those_of_the_standard() -> None:
    """RFC 5321, section 4.5.3.2."""
    assert (smtp.REPLY_SECONDS, smtp.DATA_SECONDS, smtp.BLOCK_SECONDS, smtp.FINAL_SECONDS) == (300, 120, 180, 600)


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", [None, "silence"])
def test_before_the_mail_went_out_nothing_is_unknown(step: str, answer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPLY_SECONDS", "DATA_SECONDS"):
        monkeypatch.setattr(smtp, name, 0.3)
    told: list[int] = []
    ended = threading.Event()
    with serving(otherwise(lambda: (ended.wait(PATIENCE), None)[1] if answer else None, step)) as server:
        failure = failed(server.port, at_risk=lambda: told.append(1))
        ended.set()
    assert (failure.code, failure.is_unknown, told) == ("connect", False, [])
    wanted = "no answer in time" if answer else "it ended the conversation"
    assert wanted in failure.message or step == "EHLO"  # without EHLO, HELO is tried


@pytest.mark.parametrize("answer", [None, "silence"])
def test_what_became_of_a_mail_is_unknown_where_the_server_dies_after_its_end(
    answer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "FINAL_SECONDS", 0.3)
    told: list[int] = []
    ended = threading.Event()
    with serving(otherwise(lambda: (ended.wait(PATIENCE), None)[1] if answer else None, "end")) as server:
        failure = failed(server.port, at_risk=lambda: told.append(len(server.mails)))
        ended.set()
        assert (failure.code, failure.is_unknown, told) == ("connect", True, [0])
        assert failure.message == "The server 127.0.0.1 was sent the whole mail and did not say whether it took it."


def test_a_server_that_refuses_the_end_has_not_taken_it() -> None:
    with serving(otherwise(lambda: "451 \x1b[2Jlater\u202e", "end")) as server:
        failure = failed(server.port)
    assert (failure.code, failure.is_unknown) == ("rejected", False)
    assert failure.message == "The server 127.0.0.1 refused the mail: 451 \\x1b[2Jlater\\x202e."


def test_endless_answers_end() -> None:
    with serving(otherwise(lambda: "\r\n".join(["250-x" * 100] * 10_000), "EHLO")) as server:
        assert failed(server.port).code == "connect"


def test_who_waits_for_the_answer_waits_a_while_only() -> None:
    ended = threading.Event()
    with serving(otherwise(lambda: (ended.wait(PATIENCE), None)[1], "greeting")) as server:
        assert "no answer in time" in failed(server.port, patience=0.3).message
        ended.set()


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens, where somebody does not greet, and where the mail server is."""
    with serving(otherwise(lambda: "421 not now", "greeting"), "127.0.0.3") as busy, serving() as server:

        def found(_host: Any, port: Any, *_more: Any, **_named: Any) -> list[Any]:
            places = [("127.0.0.2", port), ("127.0.0.3", busy.port), ("127.0.0.1", port)]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: (found if host == "mail.example" else real)(host, *a, **k)
        )
        sent(server.port, "mail.example")
        assert (len(server.mails), busy.tries) == (1, 1)
        server.close()
        with pytest.raises(MailError) as failure:
            sent(server.port, "mail.example")
        assert failure.value.code == "connect"
