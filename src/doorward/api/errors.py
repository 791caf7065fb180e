"""Failing answers, one function for each type of the contract (protocol, section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from doorward.transaction.pipeline import ApplyFailed
from doorward.tree.problems import Problem, as_json


@dataclass(eq=False)
class ApiError(Exception):
    """An answer that is an error. ``details`` is what ``error.details`` shows; ``headers`` are added to the usual ones."""

    status: int
    type: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.type}: {self.message}"


def bad_request(message: str = "The request is not valid HTTP.") -> ApiError:
    """The request can't be understood at all."""
    return ApiError(400, "BadRequest", message)


def invalid_body(problems: Sequence[Problem]) -> ApiError:
    """The body alone is wrong."""
    errors = [{"code": p.code, "message": p.message, "pointer": p.pointer} for p in problems]
    return ApiError(400, "InvalidRequestBody", f"The request body has {_count(errors)}.", {"errors": errors})


def invalid_query(parameters: Iterable[tuple[str, str, str]]) -> ApiError:
    """Query parameters are not acceptable: (code, message, parameter) each."""
    errors = [{"code": code, "message": message, "parameter": parameter} for code, message, parameter in parameters]
    return ApiError(400, "InvalidQuery", "The query is not acceptable.", {"errors": errors})


def meaning(problems: Sequence[Problem], what: str = "change") -> ApiError:
    """The body is well formed, but can't be accepted in this configuration. ``what``: "change" or "commit"."""
    errors = as_json(problems)
    verb = "prevents" if len(errors) == 1 else "prevent"
    return ApiError(400, "SemanticError", f"{_count(errors)} {verb} this {what}.", {"errors": errors})


def _count(errors: Sequence[object]) -> str:
    return f"{len(errors)} problem{'' if len(errors) == 1 else 's'}"


def authentication_failure() -> ApiError:
    """Credentials were refused; why is for the log alone."""
    return ApiError(401, "AuthenticationFailure", "The credentials were not accepted.", {"resource": "/api/authentication"})


def unauthenticated(resource: str) -> ApiError:
    """There is no live login session."""
    return ApiError(401, "Unauthenticated", "Log in first.", {"resource": resource})


def unauthorized(resource: str, *, write: bool) -> ApiError:
    """The account has no right."""
    verb = "change" if write else "read"
    return ApiError(403, "Unauthorized", f"This account may not {verb} the resource.", {"resource": resource})


def reserved(resource: str) -> ApiError:
    """403: what is asked for is equal to every right, so that a right to the resource alone is not enough."""
    message = "This is equal to every right: it needs the account admin, or a group with write on every object."
    return ApiError(403, "Unauthorized", message, {"resource": resource})


def cancelled(resource: str) -> ApiError:
    """The account lost the right while what it had asked for was made."""
    message = "Cancelled: this account lost the right to it meanwhile."
    return ApiError(403, "Unauthorized", message, {"code": "cancelled", "resource": resource})


def no_longer_writable(paths: list[str]) -> ApiError:
    """A transaction holds changes of what its owner has no right to any more; ``paths`` are where they are."""
    message = "The transaction changes what this account may no longer change."
    return ApiError(403, "Unauthorized", message, {"paths": paths, "resource": "/api/transaction"})


def not_restorable(resource: str, paths: list[str], hidden: int) -> ApiError:
    """403: of what would come back there are ``paths`` that the account may not change, and so many more that it may not read."""
    message = "This account may not change everything that would come back."
    details: dict[str, Any] = {"paths": paths, "resource": resource} | ({"hidden": {"paths": hidden}} if hidden else {})
    return ApiError(403, "Unauthorized", message, details)


def closed(resource: str) -> ApiError:
    """403: the way by which the request came does not lead there, whoever asks."""
    return ApiError(403, "Unauthorized", "The listeners for users do not serve this.", {"resource": resource})


def token_missing(resource: str) -> ApiError:
    """A browser wrote without the token of its login session."""
    details = {"header": "X-Token", "resource": resource}
    return ApiError(403, "Unauthorized", "Browsers must send the X-Token header.", details)


def takes_a_person(resource: str) -> ApiError:
    """A token stands where somebody has to log in."""
    details = {"code": "takes_a_person", "resource": resource}
    return ApiError(403, "Unauthorized", "No token may do this: log in.", details)


def token_insufficient(resource: str) -> ApiError:
    """A token does not have what its account may have."""
    details = {"code": "token_limits", "resource": resource}
    return ApiError(403, "Unauthorized", "The token does not reach this: it only reads, or is limited to other paths.", details)


def setup_code_missing() -> ApiError:
    """First settings came without the one-time code of this start."""
    details = {"header": "X-Setup-Code", "resource": "/api/setup"}
    return ApiError(403, "Unauthorized", "Send the one-time code that the node showed at its start.", details)


def not_for_emergencies(resource: str) -> ApiError:
    """403: the account is not in the group for emergencies."""
    details = {"code": "emergency_group", "resource": resource}
    return ApiError(403, "Unauthorized", "This account is not in the group that may commit without approval.", details)


def no_approver(message: str) -> ApiError:
    """403: somebody who may not decide on a proposal."""
    return ApiError(403, "Unauthorized", message, {"code": "no_approver"})


def not_found(path: str, resource: str) -> ApiError:
    """Nothing is at the path; ``resource`` is its first element that is missing."""
    return ApiError(404, "NotFound", "No such resource.", {"mount_point": "/", "path": path, "resource": resource})


def method_not_allowed(method: str, resource: str) -> ApiError:
    """The resource does not take the method."""
    details = {"method": method, "resource": resource}
    return ApiError(405, "MethodNotAllowed", "The resource does not accept this method.", details)


def conflict(message: str, **details: Any) -> ApiError:
    """The state of things does not allow it."""
    return ApiError(409, "Conflict", message, details)


def length_required() -> ApiError:
    """A body must say how long it is."""
    return ApiError(411, "LengthRequired", "Send Content-Length or chunked coding.")


def precondition_failed(etag: str, resource: str) -> ApiError:
    """If-Match names another state of the resource."""
    return ApiError(412, "PreconditionFailed", "The resource is not the one you read.", {"etag": etag, "resource": resource})


def too_large(limit: int) -> ApiError:
    """The body is beyond the limit, in bytes. The connection ends."""
    return ApiError(413, "BodyTooLarge", "The request body is too large.", {"limit": limit}, {"Connection": "close"})


def buffers_full() -> ApiError:
    """So many bodies are on their way, of all clients or of this one, that there is no room for another. The connection ends."""
    refusal = unavailable("Too many request bodies are on their way; send fewer at a time.")
    return replace(refusal, headers={**refusal.headers, "Connection": "close"})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """The body is of another media type than the accepted ones, by its own word."""
    message = "Send JSON." if "application/json" in accepted else f"Send {' or '.join(accepted)}."
    return ApiError(415, "UnsupportedMediaType", message, {"accepted": list(accepted)})


def expectation_failed() -> ApiError:
    """An expectation other than 100-continue."""
    return ApiError(417, "ExpectationFailed", "Only 100-continue can be expected.")


def too_many_requests(seconds: int) -> ApiError:
    """Logins from the address are blocked."""
    message = "Too many failed logins from this address."
    return ApiError(429, "TooManyRequests", message, {"retry_after": seconds}, {"Retry-After": str(seconds)})


def apply_failed(error: ApplyFailed, error_id: str) -> ApiError:
    """The host did not take a commit."""
    details = {
        "action": error.action,
        "commit": f"/api/commits/{error.commit_id}",
        "error_id": error_id,
        "path": error.path,
        "reason": error.reason,
        "restored": error.restored,
    }
    return ApiError(500, "ApplyFailed", _apply_message(restored=error.restored), details)


def apply_failed_before(
    details: Mapping[str, Any], commit: str, error_id: str, headers: Mapping[str, str]
) -> ApiError:  # fmt: skip
    """The host did not take a commit that an earlier request asked for; ``details`` are those of its record."""
    shown = {**details, "commit": f"/api/commits/{commit}", "error_id": error_id}
    return ApiError(500, "ApplyFailed", _apply_message(restored=bool(details["restored"])), shown, headers)


def _apply_message(*, restored: bool) -> str:
    """What became of the host that did not take a commit."""
    if restored:
        return "The host did not accept the change; the previous configuration is back in effect."
    return "The host did not accept the change and could not be put back; its state is unknown."


def internal(error_id: str) -> ApiError:
    """A fault of ours."""
    return ApiError(500, "InternalError", "Internal error; look for the error id in the log.", {"error_id": error_id})


def unavailable(message: str, seconds: int = 5) -> ApiError:
    """Not now."""
    return ApiError(503, "ServiceUnavailable", message, {"retry_after": seconds}, {"Retry-After": str(seconds)})


def no_room() -> ApiError:
    """The disk of this node is full."""
    refusal = unavailable("On this node: No space left on device.", 60)
    refusal.details["code"] = "no_local_space"
    return refusal
