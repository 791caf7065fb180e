"""What the resources below ``/api/audit`` and ``/api/sessions`` share: the catalogue, the trails, who may see what, errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final, ParamSpec, TypeVar

from doorward.api import errors
from doorward.api.errors import ApiError
from doorward.api.request import Request
from doorward.api.resources import Resource
from doorward.areas.threads import SEARCH
from doorward.events.node import zone
from doorward.recording.format import TrailDamagedError
from doorward.sessions.audience import Audience, audience
from doorward.sessions.catalogue import search
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.port import CatalogueUnavailableError, LiveSessions
from doorward.sessions.catalogue.query import QueryRefusedError
from doorward.sessions.catalogue.readers import TooSlowError
from doorward.sessions.catalogue.search import Found, TooManyBinsError
from doorward.sessions.catalogue.snapshots import SnapshotQuotaError, Snapshots
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.trails import EncryptedTrailError, TrailMissingError, Trails
from doorward.tree.snapshot import Snapshot

ROOT: Final = "/api/audit/sessions"

_Given = ParamSpec("_Given")
_T = TypeVar("_T")


@dataclass(frozen=True)
class AuditService:
    """``running`` returns the configuration in effect; what anybody may see is decided by that, whenever it is asked."""

    catalogue: SqliteCatalogue
    trails: Trails
    live: LiveSessions
    running: Callable[[], Snapshot]
    snapshots: Snapshots = field(default_factory=Snapshots)
    replayed: dict[tuple[str, str], None] = field(default_factory=dict, repr=False)
    """Replays that were written down: the token of a login session, and the key of the session that it has seen."""

    def audience(self, request: Request) -> Audience:
        """Return what the caller may see and do now."""
        login = request.member
        return audience(self.running(), login.name, login.rights)

    @property
    def zone(self) -> tzinfo:
        """The time zone of the node."""
        return zone(self.running())

    async def look(
        self, request: Request, work: Callable[_Given, _T], *given: _Given.args, **named: _Given.kwargs
    ) -> _T:  # fmt: skip
        """Do what looks through the catalogue in a thread. Raises ApiError."""
        with refusals(request):
            return await SEARCH.run(request.member.account, work, *given, **named)

    def find(self, request: Request, key: str) -> Found:
        """Return a session that the caller may see. Blocks. Raises 404."""
        with self.catalogue.readers.reading() as connection:
            found = search.one(connection, key, self.audience(request).condition())
        if found is None:
            raise errors.not_found(request.href, key)
        return found


class Audited(Resource):
    """Something for whoever may see sessions at all; which, is decided session by session."""

    def __init__(self, service: AuditService) -> None:
        self.service = service

    def may_read(self, request: Request) -> bool:
        """Whether there can be sessions that the caller may see."""
        return self.service.audience(request).sees_some

    def may_write(self, request: Request) -> bool:
        """Whether there can be sessions that the caller may lock and end."""
        return self.service.audience(request).acts


@contextmanager
def refusals(request: Request) -> Iterator[None]:
    """Turn what goes wrong in a block into the answers of the contract."""
    try:
        yield
    except QueryRefusedError as error:
        raise refused_query("q", error) from None
    except TooSlowError:
        raise errors.invalid_query([("too_slow", "The search took too long; narrow it.", "q")]) from None
    except TooManyBinsError:
        raise errors.invalid_query([("too_many", "There would be too many bins; make them wider.", "bin-size")]) from None
    except SnapshotQuotaError as full:
        headers = {"Retry-After": str(full.seconds)}
        message = "Too many snapshots are open."
        raise ApiError(429, "TooManyRequests", message, {"retry_after": full.seconds}, headers) from None
    except TrailMissingError:
        raise errors.not_found(request.href, request.segments[-1]) from None
    except EncryptedTrailError as error:
        raise encrypted(request.href, error.recipients) from None
    except TrailDamagedError as error:
        message = f"The trail can't be read: {error}."
        raise errors.conflict(message, code="damaged_trail", resource=request.href) from None
    except OSError as error:
        raise errors.unavailable(f"The trail can't be read now: {error.strerror}.") from error
    except (CatalogueUnavailableError, sqlite3.OperationalError) as error:
        raise errors.unavailable("The session catalogue can't be used now.") from error


def refused_query(parameter: str, error: QueryRefusedError) -> ApiError:
    """A query can't be carried out: where, and where a field is none, which there are."""
    told: dict[str, Any] = {"code": error.code, "message": error.message, "parameter": parameter}
    if error.position is not None:
        told["position"] = error.position
    details: dict[str, Any] = {"errors": [told]}
    if error.code == "unknown_field":
        details["fields"] = list(FIELDS)
    return ApiError(400, "InvalidQuery", "The query is not acceptable.", details)


def encrypted(resource: str, recipients: tuple[str, ...]) -> ApiError:
    """The trail is encrypted, and this node has no key that opens it."""
    message = "The trail is encrypted; only the private keys of the named certificates open it."
    return errors.conflict(message, certificates=list(recipients), code="encrypted_trail", resource=resource)


def session_href(key: str, *below: str) -> str:
    """Return the path of a session, or of something below it."""
    return "/".join((ROOT, key, *below))


def scalars(facts: Mapping[str, Any]) -> dict[str, str | int | bool]:
    """Return what of some facts is text, number or truth value."""
    return {name: value for name, value in facts.items() if isinstance(value, (str, int, bool))}
