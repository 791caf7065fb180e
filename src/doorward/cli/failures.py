"""How a command ends when it does not succeed: exit code and the lines that say why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ROOT = "/api/configuration/"


class CommandError(Exception):
    """Ends a command. ``lines`` are printed on standard error, ``code`` becomes the exit code."""

    code = 1

    def __init__(self, *lines: str) -> None:
        self.lines: Sequence[str] = lines
        super().__init__("; ".join(lines))


class Usage(CommandError):
    """The command line itself is wrong."""

    code = 2


class Unreachable(CommandError):
    """Nothing answers, the certificate is not trusted, or the login is refused."""

    code = 3


class Untrusted(Unreachable):
    """What answers is not proven to be the server."""


class LoginRefused(Unreachable):
    """The server answers, but takes neither this account nor this password."""


class CommandRefusedError(CommandError):
    """The API refused a request. ``error`` is the ``error`` of the answer; ``about`` is what the request was about.

    ``pointers`` are the places in the body that are wrong.
    """

    def __init__(self, status: int, error: Mapping[str, Any], about: str) -> None:
        self.status, self.type = status, str(error.get("type", ""))
        if self.type == "Unauthenticated":
            self.code = Unreachable.code
        details: Mapping[str, Any] = error.get("details", {})
        self.pointers = [str(problem["pointer"]) for problem in details.get("errors", []) if "pointer" in problem]
        super().__init__(*_explained(error, short(about)))


def short(href: str) -> str:
    """Return a path without ``/api/configuration/``, as people give it."""
    return href.removeprefix(ROOT)


def problem_line(path: str, pointer: str, message: str) -> str:
    """Return the line about one problem: path, pointer, message."""
    return f"{short(path)}{f' {pointer}' if pointer else ''}: {message}"


def _explained(error: Mapping[str, Any], about: str) -> Iterator[str]:
    details: Mapping[str, Any] = error.get("details", {})
    message = str(error.get("message", "No reason was given."))
    match error.get("type"):
        case "InvalidQuery" | "InvalidRequestBody" | "SemanticError" if details.get("errors"):
            for problem in details["errors"]:
                place = problem.get("pointer", problem.get("parameter", ""))
                yield problem_line(problem.get("path") or about, place, problem["message"])
        case "Conflict" if "conflicts" in details:
            yield message
            for found in details["conflicts"]:
                who = f"changed by {found['author']} in revision {found['revision']}"
                yield problem_line(found["path"], "", f"{who}; it is {_brief(found['running_value'])} now")
        case "Conflict" if "confirm_remaining_seconds" in details:
            yield f"{message} ({details['user']}, {details['confirm_remaining_seconds']} s left)"
        case "Unauthenticated":
            yield "The login has ended: the server was restarted, or waited too long. Nothing has changed; begin again."
        case "TooManyRequests":
            yield problem_line(about, "", f"{message} Try again in {details['retry_after']} s.")
        case "ApplyFailed":
            yield message
            yield problem_line(details["path"], "", f"{details['action']}: {details['reason']}")
        case _:
            yield problem_line(about, "", message)
            yield from (f"  {fingerprint}" for fingerprint in details.get("certificates", ()))


def _brief(value: Any, most: int = 60) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}…"
