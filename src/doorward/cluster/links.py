"""The node channel as the follower sees it: typed answers, and the words of the contract for what goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from doorward import __version__
from doorward.cluster.calls import Since
from doorward.cluster.client import CentralClient, pair
from doorward.cluster.connection import ChannelError, Way
from doorward.cluster.host_keys import HostKeyReport, SharedHostKeys
from doorward.cluster.keys import NodeKey
from doorward.cluster.peers import Pinned
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.port import CentralRefusedError, RemovedError, ReportingLink
from doorward.cluster.revisions import Envelope, Header, MembershipEnvelope
from doorward.cluster.statuses import NodeReport

_T = TypeVar("_T")


class Links:
    """Reaches a Central Management. ``port`` tells the TCP port of the channel, ``version`` is the release of this node."""

    def __init__(self, key: NodeKey, node_id: str, port: Callable[[], int], version: str = __version__) -> None:
        self._key, self._node_id, self._port, self._version = key, UUID(node_id), port, version

    def pair(self, addresses: tuple[str, ...], psk: str, own: str | None) -> tuple[str, bytes]:
        """Pair with who answers at one of the addresses; return node id and certificate of Central Management, proven."""
        with _explained():
            made = pair(
                self._way(addresses, own), self._key, node_id=self._node_id, psk=psk, version=self._version, address=own or "::"
            )
        return str(made.central_node_id), made.certificate

    def connect(self, addresses: tuple[str, ...], central: Pinned, own: str | None) -> ReportingLink:
        """Return a link to a pinned Central Management. The connection is made with the first call."""
        return _Link(CentralClient(self._key, PinnedPeer(central.id, central.certificate), self._way(addresses, own)))

    def answers(self, address: str, node: Pinned, own: str | None) -> bool:
        """Whether a pinned node answers at an address."""
        with contextlib.closing(
            CentralClient(self._key, PinnedPeer(node.id, node.certificate), self._way((address,), own))
        ) as asked:
            try:
                asked.hello()
            except ChannelError as error:
                return error.code in {"not_accepted", "removed"}  # it holds the key; what it thinks of us is its own business
        return True

    def _way(self, addresses: tuple[str, ...], own: str | None) -> Way:
        return Way(addresses, self._port(), own)


class _Link:
    """A link to a pinned Central Management."""

    def __init__(self, central: CentralClient) -> None:
        self._central = central

    @property
    def release(self) -> str | None:
        """The release of Central Management, by what it said at the beginning of the last connection."""
        return self._central.release

    def head(self, since: Header | None, wait: float) -> Header | None:
        """Return the newest header, None when there was none newer for so many seconds."""
        with _explained():
            return _as(self._central.head(_since(since), int(wait)), Header)

    def revision(self, since: Header | None) -> Envelope | None:
        """Return the newest revision, None when this node is no managed host by what Central Management knows."""
        with _explained():
            try:
                found = _as(self._central.revision(_since(since)), Envelope)
            except ChannelError as error:
                if error.code == "role":
                    return None
                raise
        if found is None:
            raise CentralRefusedError("no_answer", "no revision came")
        return found

    def membership(self, since: Header | None, wait: float) -> MembershipEnvelope | None:
        """Return the membership, None when there was none newer for so many seconds."""
        with _explained():
            return _as(self._central.membership(_since(since), int(wait)), MembershipEnvelope)

    def report(self, report: NodeReport) -> None:
        """Report."""
        with _explained():
            self._central.status(report)

    def host_keys(self, told: HostKeyReport) -> SharedHostKeys | None:
        """Tell of new host keys; return those that Central Management trusts, None: the same."""
        with _explained():
            return _as(self._central.host_keys(told), SharedHostKeys)

    def close(self) -> None:
        """Give up; a call that waits fails."""
        self._central.close()


def _since(header: Header | None) -> Since | None:
    return Since(header.epoch, header.number) if header else None


def _as(value: Any, kind: type[_T]) -> _T | None:
    return None if value is None else msgspec.convert(value, kind)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ChannelError as error:
        if error.code == "removed":
            raise RemovedError from error
        reason = error.code if error.code in {"not_accepted", "version_mismatch", "pin_mismatch"} else "no_answer"
        raise CentralRefusedError(reason, str(error)) from error
    except msgspec.ValidationError as error:
        raise CentralRefusedError("no_answer", f"the answer is none of a Central Management: {error}") from error
