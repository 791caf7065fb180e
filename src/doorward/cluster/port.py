"""What a node needs of the way to its Central Management."""

from __future__ import annotations

from typing import Protocol

from doorward.cluster.host_keys import HostKeyReport, SharedHostKeys
from doorward.cluster.peers import Pinned
from doorward.cluster.revisions import Envelope, Header, MembershipEnvelope
from doorward.cluster.statuses import NodeReport


class CentralRefusedError(Exception):
    """Central Management does not do what it was asked. ``reason`` is a word of the contract, such as ``no_answer``."""

    def __init__(self, reason: str, explained: str = "") -> None:
        super().__init__(f"{reason}: {explained}" if explained else reason)
        self.reason = reason


class RemovedError(Exception):
    """Central Management has removed this node."""


class CentralLink(Protocol):
    """The channel to Central Management. Every call blocks; what goes wrong is raised by the channel."""

    @property
    def release(self) -> str | None:
        """The release of Central Management, by what it said at the beginning of the last connection."""

    def head(self, since: Header | None, wait: float) -> Header | None:
        """Return the newest header, None when there was none newer for so many seconds."""

    def revision(self, since: Header | None) -> Envelope | None:
        """Return the newest revision, None when this node is no managed host by what Central Management knows."""

    def membership(self, since: Header | None, wait: float) -> MembershipEnvelope | None:
        """Return the membership, None when there was none newer for so many seconds."""


class ReportingLink(CentralLink, Protocol):
    """A link that also takes reports, and can be given up from another thread."""

    def report(self, report: NodeReport) -> None:
        """Report."""

    def host_keys(self, told: HostKeyReport) -> SharedHostKeys | None:
        """Tell of new host keys; return those that Central Management trusts, None: the same."""

    def close(self) -> None:
        """Give up; a call that waits fails."""


class Connector(Protocol):
    """Reaches a Central Management. Calls raise CentralRefusedError or Removed."""

    def pair(self, addresses: tuple[str, ...], psk: str, own: str | None) -> tuple[str, bytes]:
        """Pair with who answers at one of the addresses; return node id and certificate of Central Management, proven."""

    def connect(self, addresses: tuple[str, ...], central: Pinned, own: str | None) -> ReportingLink:
        """Return a link to a pinned Central Management. The connection is made with the first call."""

    def answers(self, address: str, node: Pinned, own: str | None) -> bool:
        """Whether a pinned node answers at an address."""
