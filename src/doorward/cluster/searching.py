"""Search over the nodes of a cluster: Central Management asks those with the role ``search-minion``, which answer nobody else.

The calls go the other way than all others of the channel, from Central Management to the address of a node that is registered.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
import structlog
from typing_extensions import override

from doorward.cluster.calls import CallRefusedError
from doorward.cluster.client import CentralClient
from doorward.cluster.connection import ChannelError, Way
from doorward.cluster.peers import KnownNodes, Pinned
from doorward.cluster.pins import PinnedPeer
from doorward.configuration.local_services import cluster as interface
from doorward.membership import channel, nodes
from doorward.membership.cluster_role import cluster_role
from doorward.sessions.audience import Audience
from doorward.sessions.catalogue.fields import ValueUnfitError
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.query import QueryRefusedError
from doorward.sessions.catalogue.results import TooManyBinsError, TooSlowError
from doorward.sessions.central.answering import LocalSessions, NoSessionError, UnknownFieldError
from doorward.sessions.central.port import NodeAwayError, NodeRefusedError, OtherNodes, SearchedNode
from doorward.sessions.central.questions import SearchCall, SearchQuestion
from doorward.sessions.central.untrusted import BadAnswerError, read_answer
from doorward.sessions.trails import TrailMissingError, TrailUnavailableError
from doorward.tree.snapshot import Snapshot

AWAY_SECONDS: Final = 10.0
"""How long a node that did not answer is not asked again."""
MAX_AT_ONCE: Final = 16
"""Nodes that are asked at the same time for one request."""
MAX_CONNECTIONS: Final = 4
"""Connections to one node, which takes a few more from one peer."""
_WAIT_SECONDS: Final = 15.0
"""How long a call waits for one of them."""
_REFUSED: Final = frozenset({"no_session", "no_trail", "too_slow", "trail_unavailable"})

log = structlog.get_logger()
A = TypeVar("A")


class SessionAnswers:
    """A node's end: it answers Central Management about its sessions, while it has the role for it. Blocks."""

    def __init__(self, snapshot: Callable[[], Snapshot], local: LocalSessions) -> None:
        self._snapshot, self._local = snapshot, local

    def answer(self, peer: PinnedPeer, body: bytes) -> Any:
        """Return the answer to a question: bytes, or what JSON is made of. Raises CallRefusedError."""
        known = cluster_role(self._snapshot())
        if known.state != "joined" or known.central_node_id != peer.id or nodes.MINION not in known.roles:
            raise CallRefusedError(403, "role")
        try:
            call = msgspec.json.decode(body, type=SearchCall)
            question: SearchQuestion[Any] = call.question
            return self._local.answer(call.audience, question)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise CallRefusedError(400, "format", "Not a question about sessions.") from error
        except (QueryRefusedError, UnknownFieldError, ValueUnfitError, TooManyBinsError) as error:
            raise CallRefusedError(400, "format", str(error)) from error
        except NoSessionError as error:
            raise CallRefusedError(404, "no_session") from error
        except TrailMissingError as error:
            raise CallRefusedError(404, "no_trail") from error
        except TrailUnavailableError as error:
            raise CallRefusedError(503, "trail_unavailable") from error
        except TooSlowError as error:
            raise CallRefusedError(503, "too_slow") from error
        except (CatalogueUnavailableError, OSError) as error:
            raise CallRefusedError(503, "unavailable", "The session catalogue or a trail can't be used now.") from error


@dataclass
class _Reached:
    """A node that was asked before: its idle connections, how many there are, and until when it is not asked again."""

    peer: Pinned
    idle: list[CentralClient] = field(default_factory=list)
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_CONNECTIONS))
    away_until: float = 0.0
    why: str = ""


class NodeSearch(OtherNodes):
    """Central Management's end."""

    def __init__(self, known: KnownNodes) -> None:
        self._known = known
        self._reached: dict[str, _Reached] = {}
        self._lock = threading.Lock()

    @override
    def all(self) -> Mapping[str, SearchedNode]:
        """Return the nodes with the role, in the order of the list of nodes; none unless this one searches for all."""
        snapshot = self._known.snapshot()
        known = cluster_role(snapshot)
        if known.state != "central" or nodes.MASTER not in known.roles:
            return {}
        names = self._known.names()
        return {
            key: SearchedNode(key, names.get(key) or member.address, member.address)
            for key, member in snapshot.each(nodes.NODE)
            if nodes.MINION in member.roles
        }

    @override
    def ask(self, node: str, audience: Audience, question: SearchQuestion[A]) -> A:
        """Ask one of them. Raises NodeAwayError and NodeRefusedError."""
        reached, way = self._reach(node)
        if time.monotonic() < reached.away_until:
            raise NodeAwayError(reached.why)
        if reached.why:  # one tries; until it knows more, nobody else waits for a node that may hang
            self._leave(reached, reached.why)
        if not reached.places.acquire(timeout=_WAIT_SECONDS):
            raise NodeAwayError("the node is busy")
        try:
            answer = read_answer(question, self._called(reached, way, SearchCall(audience, question)))  # type: ignore[arg-type]
        except ChannelError as error:
            if error.code in _REFUSED:
                reached.why, reached.away_until = "", 0.0
                raise NodeRefusedError(error.code) from error
            self._leave(reached, str(error))
            raise NodeAwayError(str(error)) from error
        except BadAnswerError as error:
            log.warning("a node answered a search with something else", node=node, reason=str(error))
            self._leave(reached, f"its answer can't be read: {error}")
            raise NodeAwayError(reached.why) from error
        finally:
            reached.places.release()
        reached.why, reached.away_until = "", 0.0
        return answer

    @override
    def ask_each(
        self, audience: Audience, questions: Mapping[str, SearchQuestion[A]]
    ) -> Mapping[str, A | NodeAwayError | NodeRefusedError]:  # fmt: skip
        """Ask several at the same time; a node that hangs holds up nobody else."""
        todo: queue.SimpleQueue[tuple[str, SearchQuestion[A]]] = queue.SimpleQueue()
        for asked in questions.items():
            todo.put(asked)
        found: dict[str, A | NodeAwayError | NodeRefusedError] = {}

        def work() -> None:
            with suppress(queue.Empty):
                while True:
                    node, question = todo.get_nowait()
                    try:
                        found[node] = self.ask(node, audience, question)
                    except (NodeAwayError, NodeRefusedError) as error:
                        found[node] = error
                    except Exception:
                        log.exception("a node could not be asked", node=node)
                        found[node] = NodeAwayError("an internal error; it is logged")

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(len(questions), MAX_AT_ONCE))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {node: found[node] for node in questions}

    def close(self) -> None:
        """End every connection; calls that run fail."""
        with self._lock:
            idle = [client for reached in self._reached.values() for client in reached.idle]
            self._reached.clear()
        for client in idle:
            client.close()

    def _reach(self, node: str) -> tuple[_Reached, Way]:
        peer, searched = self._known.peers().get(node), self.all().get(node)
        if peer is None or peer.removed is not None or searched is None:
            raise NodeAwayError("the node is not paired, or not searched any more")
        snapshot = self._known.snapshot()
        with self._lock:
            reached = self._reached.get(node)
            if reached is None or reached.peer != peer:
                reached = self._reached[node] = _Reached(peer)
        return reached, Way((searched.address,), channel.port(snapshot), interface.listen_address(snapshot))

    def _called(self, reached: _Reached, way: Way, call: SearchCall) -> bytes:
        with self._lock:
            client = reached.idle.pop() if reached.idle else None
        if client is None:
            client = CentralClient(self._known.key, PinnedPeer(reached.peer.id, reached.peer.certificate), way)
        client.way = way
        try:
            answer = client.sessions(call)
        except ChannelError as error:
            if error.code in _REFUSED:
                self._keep(reached, client)
            else:
                client.close()
            raise
        self._keep(reached, client)
        return answer

    def _keep(self, reached: _Reached, client: CentralClient) -> None:
        with self._lock:
            if self._reached.get(reached.peer.id) is reached:
                reached.idle.append(client)
                return
        client.close()

    def _leave(self, reached: _Reached, why: str) -> None:
        reached.why, reached.away_until = why, time.monotonic() + AWAY_SECONDS
