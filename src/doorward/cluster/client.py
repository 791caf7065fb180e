"""The node's end of the channel: it opens every connection to Central Management (cluster contract, sections 6.3 and 11).

Blocking, for a thread of its own: what it waits for sets off commits, which run in threads as well.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import structlog

from doorward.cluster.calls import MAX_WAIT, Since
from doorward.cluster.connection import ChannelConnection, ChannelError, StaleError, Way, connected
from doorward.cluster.keys import NodeKey, fingerprint
from doorward.cluster.pairing import CentralNotProvenError, PairAnswer, PairingAttempt
from doorward.cluster.pins import PinnedPeer, client_context, unverified_context
from doorward.tree.jsontext import prepared

log = structlog.get_logger()

REVISION_SECONDS = 45.0
"""How much longer than others the call for a revision may take, which has to be put together and travels far."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What the node pins: the certificate of Central Management (DER), its node id, the cluster."""

    certificate: bytes = field(repr=False)
    central_node_id: UUID
    cluster_id: UUID


def pair(way: Way, key: NodeKey, *, node_id: UUID, psk: str, version: str, address: str) -> Paired:
    """Try once to pair. A refusal takes some seconds, an acceptance within them counts. Raises ChannelError."""
    connection = connected(way, unverified_context())
    with contextlib.closing(connection):
        certificate = connection.certificate()
        attempt = PairingAttempt(psk, node_id, key, fingerprint(certificate))
        request = attempt.request(version=version, address=address, time=datetime.now(UTC))
        try:
            answer = msgspec.json.decode(connection.ask("POST", "pair", msgspec.json.encode(request)), type=PairAnswer)
            attempt.check(answer)
        except StaleError as error:
            raise ChannelError("no_answer", "Central Management ended the connection") from error
        except CentralNotProvenError:
            log.warning("the answer to pairing was made by somebody else", address=connection.host)
            raise ChannelError("not_accepted", "what answers does not know the psk") from None
        except msgspec.DecodeError as error:
            raise ChannelError("bad_answer", "the answer is none of a Central Management") from error
    return Paired(certificate, answer.central_node_id, answer.cluster_id)


@prepared
class _Hello(msgspec.Struct):
    version: Annotated[str, msgspec.Meta(max_length=64)]


class CentralClient:
    """The pinned Central Management, for one thread. ``way`` may be set anew at any time.

    Every call raises ChannelError. The connection is kept; one that went stale is opened again. Central Management asks a node
    ``hello`` in the same manner. ``release`` is what the other side said at the beginning of the last connection.
    """

    def __init__(self, key: NodeKey, peer: PinnedPeer, way: Way) -> None:
        self.way = way
        self._peer = peer
        self._context = client_context(key, peer.certificate)
        self._connection: ChannelConnection | None = None
        self._used: Way | None = None
        self._closed = False
        self.release: str | None = None
        self._busy = threading.Lock()

    def hello(self) -> Any:
        """Ask who is there."""
        return self._value("GET", "hello")

    def head(self, since: Since | None, wait: int = MAX_WAIT) -> Any | None:
        """Return the newest cluster revision; None where there is none newer for ``wait`` seconds."""
        return self._value("GET", "head", since=since, wait=wait)

    def revision(self, since: Since | None) -> Any:
        """Return the newest cluster revision, complete."""
        return self._value("GET", "revision", since=since)

    def membership(self, since: Since | None, wait: int = 0) -> Any | None:
        """Return the membership; None as with ``head``."""
        return self._value("GET", "membership", since=since, wait=wait)

    def status(self, report: Any) -> Any:
        """Report the status of this node."""
        return self._value("POST", "status", msgspec.json.encode(report))

    def host_keys(self, told: Any) -> Any | None:
        """Tell of host keys that are new here; return all of Central Management, None: the same."""
        return self._value("POST", "host_keys", msgspec.json.encode(told))

    def sessions(self, call: Any) -> bytes:
        """Ask a node about its sessions; return the answer as it came."""
        with self._busy:
            try:
                return self._answer("POST", "sessions", msgspec.json.encode(call), 0.0)
            finally:
                if self._closed:
                    self._drop()

    def close(self) -> None:
        """End; from any thread. A call that runs raises, and so does every later one."""
        self._closed = True
        if connection := self._connection:
            connection.cut()
        if self._busy.acquire(blocking=False):  # else the call that runs, which has just been cut, does the rest
            self._drop()
            self._busy.release()

    def _value(self, method: str, path: str, body: bytes | None = None, *, since: Since | None = None, wait: int = 0) -> Any:
        more = REVISION_SECONDS if path == "revision" else wait
        query = {"epoch": since.epoch, "number": since.number} if since else {}
        if wait:
            query["wait"] = wait
        target = f"{path}?{urlencode(query)}" if query else path
        with self._busy:
            try:
                answer = self._answer(method, target, body, more)
            finally:
                if self._closed:
                    self._drop()
        if not answer:
            return None
        try:
            return msgspec.json.decode(answer)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ChannelError("bad_answer", f"the answer to {path} is no JSON") from error

    def _answer(self, method: str, target: str, body: bytes | None, more: float) -> bytes:
        if self._connection is not None and self._used == self.way:
            with contextlib.suppress(StaleError):
                return self._asked(self._connection, method, target, body, more)
        self._drop()
        way = self.way
        connection = self._connected(way)
        self._connection, self._used = connection, way
        try:
            hello = self._asked(connection, "GET", "hello")
        except StaleError as error:  # the handshake is over for us before Central Management looks at our certificate
            self._drop()
            raise ChannelError("not_accepted", "Central Management ended the connection: it does not know this node") from error
        self.release = _release(hello)
        if target == "hello":
            return hello
        try:
            return self._asked(connection, method, target, body, more)
        except StaleError as error:
            self._drop()
            raise ChannelError("no_answer", "Central Management ended the connection") from error

    def _asked(
        self, connection: ChannelConnection, method: str, target: str, body: bytes | None = None, more: float = 0.0
    ) -> bytes:
        if self._closed:
            raise ChannelError("no_answer", "the node stops")
        try:
            answer = connection.ask(method, target, body, more)
        except ChannelError as error:
            self._log(connection.host, target, error.code)
            if error.code in {"no_answer", "bad_answer"}:
                self._drop()  # it may be in the middle of an answer
            raise
        self._log(connection.host, target, "ok")
        return answer

    def _connected(self, way: Way) -> ChannelConnection:
        try:
            return connected(way, self._context, self._peer.certificate)
        except ChannelError as error:
            self._log(", ".join(way.addresses), "", error.code)
            raise

    def _log(self, address: str, target: str, result: str) -> None:
        log.info("cluster call", peer=self._peer.id, address=address, path=target.partition("?")[0], result=result)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _release(hello: bytes) -> str | None:
    """Return the release that somebody says to be of."""
    try:
        return msgspec.json.decode(hello, type=_Hello).version
    except (msgspec.DecodeError, RecursionError):
        return None
