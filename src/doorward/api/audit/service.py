"""What the resources below ``/api/audit`` and ``/api/sessions`` share: the catalogue, the trails, who may see what, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final, ParamSpec, TypeVar

import structlog

from doorward.api import errors
from doorward.api.errors import ApiError
from doorward.api.request import Request
from doorward.api.resources import Resource
from doorward.areas.threads import SEARCH
from doorward.events.node import zone
from doorward.recording.format import TrailDamagedError
from doorward.recording.reader import TrailReader
from doorward.recording.segments import Timeline
from doorward.recording.trail_file import TrailPieces
from doorward.sessions.audience import Audience, audience
from doorward.sessions.catalogue.criteria import ALL, Compared, Criterion, Without, any_of
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.port import CatalogueUnavailableError, SessionCatalogue
from doorward.sessions.catalogue.query import QueryRefusedError
from doorward.sessions.catalogue.results import Found, TooManyBinsError, TooSlowError
from doorward.sessions.catalogue.snapshots import SnapshotQuotaError, Snapshots
from doorward.sessions.central.answering import LocalSessions, NoSessionError
from doorward.sessions.central.port import NodeAwayError, NodeRefusedError, NoOtherNodes, OtherNodes
from doorward.sessions.central.questions import (
    MAX_PIECE,
    FoundRow,
    SearchQuestion,
    SessionQuestion,
    TrailPieceQuestion,
    TrailSizeQuestion,
)
from doorward.sessions.central.untrusted import BadAnswerError, session_of
from doorward.sessions.live import LiveSessions
from doorward.sessions.trails import EncryptedTrailError, TrailMissingError, Trails, TrailUnavailableError
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

ROOT: Final = "/api/audit/sessions"
_FETCHED_SECONDS: Final = 5
"""After so long it is worth asking again for a trail that is on its way from the archive."""
_LOST: Final = {"no_such_path": "missing", "verify_failed": "changed", "policy_changed": "unreachable"}
"""How an answer says why a trail is lost, by the codes of failures."""
MAX_HOLDERS: Final = 10_000
"""Sessions of other nodes of which it is remembered who has them."""

_Given = ParamSpec("_Given")
_T = TypeVar("_T")


@dataclass(frozen=True)
class AuditService:
    """``running`` returns the configuration in effect; what anybody may see is decided by that, whenever it is asked."""

    catalogue: SessionCatalogue
    trails: Trails
    live: LiveSessions
    running: Callable[[], Snapshot]
    snapshots: Snapshots = field(default_factory=Snapshots)
    replayed: dict[tuple[str, str], None] = field(default_factory=dict, repr=False)
    """Replays that were written down: the token of a login session, and the key of the session that it has seen."""
    timelines: dict[tuple[str, int], Timeline] = field(default_factory=dict, repr=False)
    """Of trails that are watched, by the key of their session and their bytes; the one that was used last is at the end."""
    nodes: OtherNodes = field(default_factory=NoOtherNodes)
    """The other nodes that are searched as well."""
    holders: dict[str, str] = field(default_factory=dict, repr=False)
    """Which of them has a session, by its key, as it was found before."""

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
        """Return a session that the caller may see, of this node or another. Blocks. Raises 404, 409, 503."""
        seen = self.audience(request)
        with self.catalogue.looking() as look:
            found = look.one(key, seen.criterion())
        return self._elsewhere(request, key, seen) if found is None else found

    @property
    def told_here(self) -> Criterion:
        """Which sessions this node tells of itself: where it shares a catalogue, not those of nodes that it asks as well."""
        if self.catalogue.node is None:
            return ALL
        return Without(any_of(Compared(FIELDS["node_id"], "=", node) for node in self.nodes.all()))

    def _is_of_another(self, found: Found) -> bool:
        """Whether another node that shares the catalogue has recorded a session."""
        return self.catalogue.node not in {None, found.row.node}

    def trail_holder(self, request: Request, found: Found) -> str:
        """Return the node that is to be asked for the trail of a session; "": it can be had here.

        What is in an archive that this node knows is had from there, whoever recorded it, and whether that one lives. Raises 409
        where the trail lies on another node, which this one can't ask for it.
        """
        if found.holder or not self._is_of_another(found) or self.trails.is_archive_known(found.row):
            return found.holder
        if found.row.node in self.nodes.all():
            return found.row.node
        message = f"The trail lies on the node {found.row.node}, which recorded it; ask there."
        raise errors.conflict(message, code="on_another_node", node=found.row.node, resource=request.href)

    def _elsewhere(self, request: Request, key: str, seen: Audience) -> Found:
        others = self.nodes.all()
        known = self.holders.get(key, "")
        asked = [known] if known in others else list(others)
        answers = self.nodes.ask_each(seen, dict.fromkeys(asked, SessionQuestion(key=key)))
        away = [others[node] for node, answer in answers.items() if isinstance(answer, Exception)]
        founds = [
            found
            for node, answer in answers.items()
            if not isinstance(answer, Exception)
            for found in sessions_of(answer, node, seen)
            if found.row.key == key
        ]
        if len(founds) > 1:  # one of them lies, or was copied
            names = [others[found.holder].name for found in founds]
            message = f"Several nodes have a session with this key: {', '.join(names)}. Ask them."
            raise errors.conflict(message, code="ambiguous", resource=request.href)
        if founds:
            self.hold(founds)
            return founds[0]
        if away:
            raise errors.unavailable(f"{away[0].name} does not answer, and may have the session.", 10)
        raise errors.not_found(request.href, key)

    def hold(self, founds: Iterable[Found]) -> None:
        """Remember which nodes have sessions. Who was found first stays: a node can't take the session of another."""
        for found in founds:
            if found.holder:
                self.holders.setdefault(found.row.key, found.holder)
        while len(self.holders) > MAX_HOLDERS:
            self.holders.pop(next(iter(self.holders)), None)

    def check_here(self, request: Request, found: Found) -> None:
        """Raise 409 where another node has a session, which alone can show, lock and end it while it runs."""
        holder = found.holder or (found.row.node if self._is_of_another(found) else "")
        if holder:
            node = self.nodes.all().get(holder)
            name, address = (node.name, node.address) if node else (holder, "")
            message = f"The session runs on the node {name} ({address}); ask there." if address else f"It runs on {name}."
            raise errors.conflict(message, address=address, code="on_another_node", node=holder, resource=request.href)

    def ask(self, request: Request, found: Found, question: SearchQuestion[_T]) -> _T:
        """Ask the node that has a session about it. Blocks. Raises what ``refusals`` turn into answers."""
        if not found.holder:
            return LocalSessions(self.catalogue, self.trails).answer(self.audience(request), question)
        return self.ask_node(request, found.holder, question)

    def ask_node(self, request: Request, node: str, question: SearchQuestion[_T]) -> _T:
        """Ask another node, within what the caller may see now. Blocks. Raises as ``ask``."""
        return self.nodes.ask(node, self.audience(request), question)

    @contextmanager
    def reading(self, request: Request, found: Found) -> Iterator[TrailReader]:
        """Give a reader of the trail of a session, for the time of a block. Raises as `Trails.reading`, and 503."""
        holder = self.trail_holder(request, found)
        if not holder:
            with self.trails.reading(found.row) as reader:
                yield reader
            return
        size = self.ask_node(request, holder, TrailSizeQuestion(key=found.row.key))

        def read(begin: int, count: int) -> bytes:
            parts = []
            for at in range(begin, begin + count, MAX_PIECE):
                part = min(MAX_PIECE, begin + count - at)
                parts.append(self.ask_node(request, holder, TrailPieceQuestion(key=found.row.key, offset=at, size=part)))
                if len(parts[-1]) != part:
                    raise TrailDamagedError("the trail became shorter while it was read")
            return b"".join(parts)

        yield self.trails.opened(TrailPieces(size, read))


def sessions_of(rows: Iterable[FoundRow], holder: str, seen: Audience) -> Iterator[Found]:
    """Yield what another node told of sessions, as far as an audience may see them; what is none is left out."""
    for row in rows:
        try:
            found = session_of(row, holder, seen)
        except BadAnswerError as error:
            log.warning("a node told of a session that is none", node=holder, reason=str(error))
            continue
        if found is not None:
            yield found


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
    except TooManyBinsError:
        raise errors.invalid_query([("too_many", "There would be too many bins; make them wider.", "bin-size")]) from None
    except SnapshotQuotaError as full:
        headers = {"Retry-After": str(full.seconds)}
        message = "Too many snapshots are open."
        raise ApiError(429, "TooManyRequests", message, {"retry_after": full.seconds}, headers) from None
    except (NoSessionError, TrailMissingError):
        raise errors.not_found(request.href, request.segments[-1]) from None
    except EncryptedTrailError as error:
        raise encrypted(request.href, error.recipients) from None
    except TrailUnavailableError as error:
        raise _not_fetched(request, error) from None
    except TrailDamagedError as error:
        message = f"The trail can't be read: {error}."
        raise errors.conflict(message, code="damaged_trail", resource=request.href) from None
    except (TooSlowError, NodeAwayError, NodeRefusedError, OSError, CatalogueUnavailableError) as error:
        raise _unfinished(request, error) from error


def _unfinished(request: Request, error: Exception) -> ApiError:
    """Return the answer where something could not be looked up now."""
    if isinstance(error, TooSlowError) or (isinstance(error, NodeRefusedError) and error.code == "too_slow"):
        return errors.invalid_query([("too_slow", "The search took too long; narrow it.", "q")])
    if isinstance(error, NodeRefusedError) and error.code == "trail_unavailable":
        return errors.unavailable("The node that has the session could not get its trail from the archive yet.", _FETCHED_SECONDS)
    if isinstance(error, NodeRefusedError):
        return errors.not_found(request.href, request.segments[-1])
    if isinstance(error, NodeAwayError):
        return errors.unavailable("The node that has the session does not answer.", 10)
    if isinstance(error, OSError):
        return errors.unavailable(f"The trail can't be read now: {error.strerror}.")
    return errors.unavailable("The session catalogue can't be used now.")


def _not_fetched(request: Request, error: TrailUnavailableError) -> ApiError:
    """Return the answer where a trail can't be had from the archive: 409 where waiting does not help."""
    message = f"The trail can't be had from the archive. {error.message}"
    if error.is_lasting:
        return errors.conflict(message, code=f"archived_trail_{_LOST.get(error.code, 'lost')}", resource=request.href)
    refusal = errors.unavailable(message, _FETCHED_SECONDS)
    refusal.details["code"] = error.code
    return refusal


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
