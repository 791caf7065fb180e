"""What can go wrong for a client of the API, as exceptions: one family, with the places that are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from msgspec import Struct


class ClientError(Exception):
    """Any failure of a request. The text is for people."""


class UnreachableError(ClientError):
    """Nothing answers, the connection broke, or what answers is not Doorward."""


class UntrustedError(UnreachableError):
    """What answers is not proven to be the server that was meant; nothing was sent to it."""


class UnsendableError(ClientError):
    """What was given can't be sent: no address of a server, no text in UTF-8."""


class UnknownOutcomeError(UnreachableError):
    """The answer to a commit got lost and nobody answers who knows what became of it.

    ``key`` is its Idempotency-Key: ``GET /api/commits/<key>`` tells, once the server is there again.
    """

    def __init__(self, key: str, why: str) -> None:
        self.key = key
        super().__init__(f"The answer to the commit got lost: {why}")


class ReportedProblem(Struct, frozen=True):
    """One thing that is wrong: the resource, an RFC 6901 pointer into its body (or the parameter of a query), and why."""

    message: str
    path: str = ""
    pointer: str = ""


class ApiRefusedError(ClientError):
    """The API refused a request.

    ``status`` and ``type`` are those of the answer ("SemanticError", "Conflict", …: the API guide lists them), ``details`` its
    details, ``about`` what the request was about: its path, unless the caller named it otherwise.
    """

    def __init__(self, status: int, error: Mapping[str, Any], about: str) -> None:
        self.status, self.type, self.about = status, str(error.get("type", "")), about
        self.message = str(error.get("message", "No reason was given."))
        found = error.get("details")
        self.details: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        super().__init__("\n".join([f"{about}: {self.message}", *(_line(problem) for problem in self.problems)]))

    @property
    def problems(self) -> tuple[ReportedProblem, ...]:
        """Everything that is wrong with the request, where the API told it by place."""
        told = self.details.get("errors", ())
        return tuple(
            ReportedProblem(
                str(one.get("message", "")), str(one.get("path") or self.about), str(one.get("pointer", one.get("parameter", "")))
            )
            for one in told
        )

    @property
    def pointers(self) -> list[str]:
        """The places in the body that are wrong."""
        return [str(one["pointer"]) for one in self.details.get("errors", ()) if "pointer" in one]

    @property
    def login_ended(self) -> bool:
        """Whether there is no login, or none any more."""
        return self.status == HTTPStatus.UNAUTHORIZED

    @property
    def comes_later(self) -> bool:
        """Whether the server is there but can't answer yet, as while it starts."""
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE


class LoginRefusedError(ApiRefusedError):
    """The server takes neither this account nor this password; or not this token, or not from here."""


class ConflictError(ApiRefusedError):
    """Somebody else changed the same places, a commit awaits its confirmation, or no transaction is open."""


class ApplyFailedError(ApiRefusedError):
    """The host could not take the change, and everything was put back; ``details`` has the path, the step and the reason."""


def _line(problem: ReportedProblem) -> str:
    return f"  {' '.join(part for part in (problem.path, problem.pointer) if part)}: {problem.message}"


_TYPES: Mapping[str, type[ApiRefusedError]] = {"Conflict": ConflictError, "ApplyFailed": ApplyFailedError}


def refusal(status: int, error: Mapping[str, Any], about: str) -> ApiRefusedError:
    """Return the exception for an answer that is an error."""
    return _TYPES.get(str(error.get("type")), ApiRefusedError)(status, error, about)
