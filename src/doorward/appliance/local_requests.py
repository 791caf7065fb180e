"""What the owner of the state directory can ask a running server for without logging in.

A Unix socket in the state directory takes it, mode 0600: a connection is one request and its response, each a line of JSON. The
kernel says who asks (SO_PEERCRED).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from doorward.tree.jsontext import prepared

SOCKET: Final = Path("run", "local.sock")
"""Below the state directory."""
MAX_LINE: Final = 4096
"""Bytes of a request or a response."""
ANSWER_SECONDS: Final = 60.0
"""How long a response may take: a commit waits for those before it, and for the host."""


@prepared
class ResetPassword(msgspec.Struct, frozen=True, tag="reset_password", forbid_unknown_fields=True):
    """Give ``admin`` this password."""

    password: str

    def __repr__(self) -> str:
        return "ResetPassword(…)"


@prepared
class ResetApproval(msgspec.Struct, frozen=True, tag="reset_approval", forbid_unknown_fields=True):
    """Switch the approval of changes off."""


@prepared
class AdoptSessions(msgspec.Struct, frozen=True, tag="adopt_sessions", forbid_unknown_fields=True):
    """Take over some sessions of a node that is gone, by an archive policy; those whose records come after a name."""

    archive: str
    node: str
    after: str = ""


ResetRequest = ResetPassword | ResetApproval
LocalRequest = ResetRequest | AdoptSessions


@prepared
class ResetDone(msgspec.Struct, frozen=True, tag="reset"):
    """Done, with this revision."""

    revision: int


@prepared
class SessionsAdopted(msgspec.Struct, frozen=True, tag="adopted", kw_only=True):
    """Some were taken over. ``after``: where the next request goes on; "": that were all."""

    adopted: int
    present: int
    left_out: int
    named: list[str]
    after: str


LocalAnswer = ResetDone | SessionsAdopted


@prepared
class RequestRefused(msgspec.Struct, frozen=True, tag="refused"):
    """Not done; why, in a sentence for the operator."""

    reason: str


_ANSWERS: Final = msgspec.json.Decoder(LocalAnswer | RequestRefused)


class NotAnsweredError(Exception):
    """What became of the request is not known, in a sentence."""


def ask(state: Path, request: LocalRequest) -> LocalAnswer | RequestRefused | None:
    """Ask the server that has a state directory; None where no server listens. Raises NotAnsweredError. Blocks."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            with short_name(state / SOCKET) as name:
                connection.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise NotAnsweredError(f"The server can't be asked: {error.strerror}.") from None
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as answers:
                answer: LocalAnswer | RequestRefused = _ANSWERS.decode(answers.readline(MAX_LINE))
                return answer
        except TimeoutError:
            raise NotAnsweredError(f"The server has not answered for {ANSWER_SECONDS:.0f} s; its history tells.") from None
        except (OSError, msgspec.DecodeError):
            raise NotAnsweredError("The server ended the connection before it answered; its history tells.") from None


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """Give a socket a name that fits into an address of 107 bytes, however long its directory's name is.

    Raises OSError where there is no such directory.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
