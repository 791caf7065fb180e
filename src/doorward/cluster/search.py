"""Both ends of the search over a cluster, put together when one of them is needed: a start does without their imports."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from doorward.cluster.calls import CallRefusedError
from doorward.cluster.peers import KnownNodes
from doorward.cluster.pins import PinnedPeer

if TYPE_CHECKING:
    from doorward.cluster.searching import NodeSearch, SessionAnswers
    from doorward.sessions.central.answering import LocalSessions


def _none() -> LocalSessions:
    raise CallRefusedError(503, "unavailable")


class ClusterSearch:
    """Both ends, of this node."""

    def __init__(self, known: KnownNodes) -> None:
        self._known = known
        self.local: Callable[[], LocalSessions] = _none
        """Returns what answers about the sessions of this node."""

    @cached_property
    def nodes(self) -> NodeSearch:
        """The other nodes whose sessions are searched from here."""
        from doorward.cluster.searching import NodeSearch

        return NodeSearch(self._known)

    @cached_property
    def _answers(self) -> SessionAnswers:
        from doorward.cluster.searching import SessionAnswers

        return SessionAnswers(self._known.snapshot, self.local())

    def answer(self, peer: PinnedPeer, call: bytes) -> Any:
        """Answer Central Management about the sessions of this node. Raises CallRefusedError."""
        return self._answers.answer(peer, call)

    def close(self) -> None:
        """End what is asked of other nodes."""
        if "nodes" in self.__dict__:
            self.nodes.close()
