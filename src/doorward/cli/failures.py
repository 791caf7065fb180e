"""How a command ends when it does not succeed: exit code and the lines that say why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from doorward.client.errors import ApiRefusedError, ClientError, LoginRefusedError, UnknownOutcomeError, UnreachableError

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


def short(href: str) -> str:
    """Return a path without ``/api/configuration/``, as people give it."""
    return href.removeprefix(ROOT)


def problem_line(path: str, pointer: str, message: str) -> str:
    """Return the line about one problem: path, pointer, message."""
    return f"{short(path)}{f' {pointer}' if pointer else ''}: {message}"


def failure_of(error: CommandError | ClientError) -> CommandError:
    """Return how a command ends for what its client met."""
    match error:
        case CommandError():
            return error
        case LoginRefusedError():
            return Unreachable(f"{error.about} can't log in: {error.message}")
        case ApiRefusedError():
            lines = tuple(explained(error))
            return Unreachable(*lines) if error.login_ended else CommandError(*lines)
        case UnknownOutcomeError():
            return Unreachable("The answer to the commit got lost; `doorward history` tells whether it is in effect.")
        case _:
            return Unreachable(str(error)) if isinstance(error, UnreachableError) else Usage(str(error))


def explained(refused: ApiRefusedError) -> Iterator[str]:
    """Yield the lines that say why the API refused a request, and where."""
    details, about = refused.details, short(refused.about)
    match refused.type:
        case "InvalidQuery" | "InvalidRequestBody" | "SemanticError" if refused.problems:
            for problem in refused.problems:
                yield problem_line(problem.path, problem.pointer, problem.message)
        case "Conflict" if "conflicts" in details:
            yield refused.message
            for found in details["conflicts"]:
                who = f"changed by {found['author']} in revision {found['revision']}"
                yield problem_line(found["path"], "", f"{who}; it is {_brief(found['running_value'])} now")
        case "Conflict" if "confirm_remaining_seconds" in details:
            yield f"{refused.message} ({details['user']}, {details['confirm_remaining_seconds']} s left)"
        case "Unauthenticated":
            yield "The login has ended: the server was restarted, or waited too long. Nothing has changed; begin again."
        case "TooManyRequests":
            yield problem_line(about, "", f"{refused.message} Try again in {details['retry_after']} s.")
        case "ApplyFailed":
            yield refused.message
            yield problem_line(details["path"], "", f"{details['action']}: {details['reason']}")
        case _:
            yield problem_line(about, "", refused.message)
            yield from (f"  {fingerprint}" for fingerprint in details.get("certificates", ()))


def _brief(value: Any, most: int = 60) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}…"
