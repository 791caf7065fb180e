"""What the API needs of the other nodes whose sessions it searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from msgspec import Struct
from typing_extensions import override

from doorward.sessions.audience import Audience
from doorward.sessions.central.questions import SearchQuestion

A = TypeVar("A")


class NodeAwayError(Exception):
    """A node does not answer, or not what it was asked for; the message says why."""


class NodeRefusedError(Exception):
    """A node has no answer to a question: ``code`` is ``no_session``, ``no_trail`` or ``too_slow``."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class SearchedNode(Struct, frozen=True):
    """A node that is searched as well. ``name`` is fit to be shown."""

    id: str
    name: str
    address: str


class OtherNodes(Protocol):
    """The other nodes that are searched from here. Blocks; safe in any thread."""

    def all(self) -> Mapping[str, SearchedNode]:
        """Return them by their ids, in order; none where this node does not search others."""

    def ask(self, node: str, audience: Audience, question: SearchQuestion[A]) -> A:
        """Ask one of them; what it answers was looked at. Raises NodeAwayError, NodeRefusedError."""

    def ask_each(
        self, audience: Audience, questions: Mapping[str, SearchQuestion[A]]
    ) -> Mapping[str, A | NodeAwayError | NodeRefusedError]:  # fmt: skip
        """Ask several at the same time, each its own question."""


class NoOtherNodes(OtherNodes):
    """A node that searches itself alone."""

    @override
    def all(self) -> Mapping[str, SearchedNode]:
        """There is none."""
        return {}

    @override
    def ask(self, node: str, audience: Audience, question: SearchQuestion[A]) -> A:
        """There is none. Raises NodeAwayError."""
        raise NodeAwayError("no such node is searched from here")

    @override
    def ask_each(
        self, audience: Audience, questions: Mapping[str, SearchQuestion[A]]
    ) -> Mapping[str, A | NodeAwayError | NodeRefusedError]:  # fmt: skip
        """There is none."""
        return {}
