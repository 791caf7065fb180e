"""A conversation with an SMB 3 server: how it is begun and protected, and what its refusals mean.

smbprotocol (1.17) takes an answer that is not signed, or not encrypted, even where it signs and encrypts itself; ``Strict``
does not. It offers SMB 2 together with SMB 3; here each version is offered alone, the highest first.
"""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from smbprotocol.connection import Connection, Dialects
from smbprotocol.exceptions import SMBAuthenticationError, SMBConnectionClosed, SMBException, SMBResponseException
from smbprotocol.header import NtStatus, Smb2Flags, SMB2HeaderResponse
from smbprotocol.session import Session
from smbprotocol.tree import SMB2TreeConnectRequest, SMB2TreeConnectResponse, TreeConnect

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import CONNECT_SECONDS, Secret, TargetAttempt, Watchdog, reach

_DIALECTS = {"3.1.1": Dialects.SMB_3_1_1, "3.0.2": Dialects.SMB_3_0_2, "3.0": Dialects.SMB_3_0_0}
_PREFIX = "Received unexpected status from the server: "
_TIMEOUT = "Connection timeout of "
"""How the error of the library begins, which has no class of its own; further on names of the other side may stand."""
_MAX_ANSWER = (1 << 20) + (1 << 16)
"""Bytes of an answer: what is read at a time, and what stands around it."""
_UNASKED = 0xFFFFFFFFFFFFFFFF
_WRITE_DATA = 0x2
_ACCESS_DENIED = 0xC0000022

# Status codes of [MS-ERREF]. One that is not here is a refusal that trying again does not change: ``protocol_unavailable``.
_MEANINGS: dict[int, str] = {
    **dict.fromkeys(  # names, passwords, accounts, domains, tickets
        [0xC000005F, 0xC0000062, 0xC0000064, 0xC000006A, 0xC000006C, 0xC000006D, 0xC000006E, 0xC000006F, 0xC0000070, 0xC0000071,
         0xC0000072, 0xC00000DF, 0xC0000133, 0xC000015B, 0xC000018A, 0xC000018B, 0xC000018C, 0xC000018D, 0xC0000193, 0xC0000198,
         0xC0000199, 0xC000019A, 0xC0000224, 0xC0000234, 0xC0000247, 0xC0000248, 0xC0000388, 0xC0000413, 0xC0000418],
        "auth_failed"),
    **dict.fromkeys(  # names, paths, shares and volumes that are not there, or are something else
        [0x8000002D, 0xC000000E, 0xC000000F, 0xC0000033, 0xC0000034, 0xC0000039, 0xC000003A, 0xC000003B, 0xC00000BA, 0xC00000BE,
         0xC00000CB, 0xC00000CC, 0xC0000103, 0xC0000106, 0xC0000123, 0xC000026E],
        "no_such_path"),
    **dict.fromkeys([_ACCESS_DENIED, 0xC0000061, 0xC00000CA, 0xC0000121], "permission_denied"),
    0xC00000A2: "read_only_target",
    **dict.fromkeys([0xC000007F, 0xC0000904], "no_space"),
    **dict.fromkeys([0xC0000044, 0xC0000802], "quota"),
    0xC0000035: "name_exists",
    **dict.fromkeys([0xC000000D, 0xC0000010, 0xC00000BB, 0xC0000236, 0xC0000257], "protocol_unavailable"),
    **dict.fromkeys(
        [0xC00000C4, 0xC00000C9, 0xC0000128, 0xC0000203, 0xC000020C, 0xC000020D, 0xC000035C], "connection_lost"),
    0xC00000B5: "stalled",
    **dict.fromkeys(  # held by somebody else, or out of memory, handles, sessions, processes, domain controllers
        [0x80000011, 0xC0000017, 0xC0000043, 0xC0000054, 0xC0000055, 0xC0000056, 0xC000005E, 0xC000009A, 0xC00000BF, 0xC00000CE,
         0xC00000D0, 0xC000011F, 0xC0000185, 0xC0000192, 0xC0000205, 0xC000022D, 0xC0000466, 0xC0000467],
        "server_busy"),
}  # fmt: skip

for _library in ("smbprotocol", "spnego"):  # what goes wrong is told by the run; the rest would be every message
    logging.getLogger(_library).setLevel(logging.CRITICAL)


class Strict(Connection):  # type: ignore[misc]  # the library has no types
    """A connection that takes no answer in clear, or without a signature, where the session has promised one; and no long one."""

    def _process_message_thread(self) -> None:
        """Read answers. The library makes room for as much as a server announces, 4 GiB at most, before it has come."""
        receive = self.transport._recv  # noqa: SLF001 - the transport has no other way to be told

        def limited(length: int, timeout: float) -> Any:
            if length > _MAX_ANSWER:
                raise SMBException(f"The server announces an answer of {length} bytes")
            return receive(length, timeout)

        self.transport._recv = limited  # noqa: SLF001 - the library's
        super()._process_message_thread()

    def verify_signature(self, header: SMB2HeaderResponse, session_id: int, force: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Check an answer that came unencrypted; interim answers carry nothing. Raises SMBException."""
        session = self.session_table.get(session_id)
        told = header["message_id"].get_value() != _UNASKED and header["status"].get_value() != NtStatus.STATUS_PENDING
        if session is not None and told and not force:
            if session.encrypt_data:
                raise SMBException("The server answered without encryption")
            if session.signing_required and not header["flags"].has_flag(Smb2Flags.SMB2_FLAGS_SIGNED):
                raise SMBException("The server answered without signature")
        super().verify_signature(header, session_id, force)


class SmbShare:
    """A share of a server that we are logged in to."""

    def __init__(self, target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt) -> None:
        self._attempt, self._target = attempt, target
        self._anonymous = target["authentication"]["selection"] == "anonymous"
        server = str(target["server"]["value"])
        reach(attempt, server, target["port"])
        self._connection: Connection | None = None
        self._watchdog = Watchdog(attempt, self._cut)
        try:
            attempt.begin("identify")
            self.connection = self._negotiated(server)
            attempt.begin("authenticate")
            self._session = self._logged_in(secret)
            literal = server.replace(":", "-") + ".ipv6-literal.net" if ":" in server else server
            self._share = rf"\\{literal}\{target['share']}"
            self.tree = TreeConnect(self._session, self._share)
            with self.talking(f"Opening the share {target['share']}"):
                self.tree.connect(require_secure_negotiate=not self._anonymous)
        except BaseException:
            self.close()
            raise
        self.prefix = f"{self._share[2:]}\\" if self.tree.is_dfs_share else ""
        """What stands before every path: shares of a distributed file system want the whole of it."""

    def _negotiated(self, server: str) -> Connection:
        """Agree on a version of SMB 3."""
        wanted = self._target["protocol_version"]
        doing, seconds = "Agreeing on SMB 3", max(1, int(min(CONNECT_SECONDS, self._attempt.left)))
        refusal: BackupError | None = None
        for dialect in _DIALECTS.values() if wanted == "auto" else [_DIALECTS[wanted]]:
            signing = not self._anonymous
            connection = self._connection = Strict(uuid.uuid4(), server, self._target["port"], require_signing=signing)
            try:
                with self.talking(doing):
                    connection.connect(dialect=dialect, timeout=seconds)
                if connection.dialect == dialect:
                    break
                refusal = self._attempt.failed("protocol_unavailable", doing, "the server chose a version that was not offered")
            except BackupError as failure:
                if failure.code != "protocol_unavailable":
                    raise
                refusal = failure
            self._disconnect()
        else:
            raise refusal or self._attempt.failed("protocol_unavailable", doing, "no version is left")
        if self._target["encryption"] and not connection.supports_encryption:
            raise self._attempt.failed("encryption_unavailable", doing, "the server offers no encryption")
        return connection

    def _logged_in(self, secret: Secret) -> Session:
        """Log in; nobody becomes a guest who has a name."""
        doing, login = "Logging in", self._target["authentication"]
        if self._anonymous:
            name, password = "guest", ""
        else:
            name = f"{login['domain']}\\{login['username']}" if login.get("domain") else login["username"]
            known = secret(login["password"])
            if known is None:
                raise self._attempt.failed("auth_failed", doing, "the password of the policy is not there")
            password = known
        session = Session(self._connection, name, password, require_encryption=self._target["encryption"])
        try:
            with self.talking(doing):
                session.connect()
        except BackupError as failure:
            if failure.code in {"permission_denied", "protocol_unavailable"}:  # as a login these are refusals like any other
                raise BackupError("auth_failed", failure.message) from None
            raise
        return session

    @contextmanager
    def talking(self, doing: str) -> Iterator[None]:
        """Turn whatever goes wrong into a BackupError; watch that something moves."""
        attempt = self._attempt
        attempt.check(doing)
        try:
            with self._watchdog.working():
                yield
        except BackupError:
            raise
        except Exception as error:  # noqa: BLE001 - what a server makes the library stumble over can be anything
            if self._watchdog.reason is not None:
                raise attempt.failed(self._watchdog.reason[0], doing, self._watchdog.reason[1]) from None
            code, words = meaning(error)
            raise attempt.failed(code, doing, words) from None

    @property
    def credits(self) -> int:
        """How many requests the server lets us send now; one with more than 64 KiB counts as several."""
        window = self.connection.sequence_window
        return int(window["high"] - window["low"])

    def writable(self) -> bool:
        """Whether the share may be written to at all, whatever the rights in it."""
        request = SMB2TreeConnectRequest()
        request["buffer"] = self._share.encode("utf-16-le")
        with self.talking("Asking for the rights on the share"):
            answer = self.connection.receive(self.connection.send(request, sid=self._session.session_id))
            found = SMB2TreeConnectResponse()
            found.unpack(answer["data"].get_value())
        return bool(found["maximal_access"].get_value() & _WRITE_DATA)

    def close(self) -> None:
        """Log out, if the server still listens."""
        if self._connection is not None and self._watchdog.reason is None and not self._attempt.stop.is_set():
            with suppress(Exception), self._watchdog.working():
                self._connection.disconnect(close=True, timeout=2)
        self._watchdog.stop()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None and self._connection.transport is not None:
            self._cut()
            with suppress(Exception):
                self._connection.disconnect(close=False)

    def _cut(self) -> None:
        # Its own close() waits for a sender, which waits for a server that takes nothing any more.
        transport = self._connection.transport if self._connection is not None else None
        inner = transport._sock if transport is not None else None  # noqa: SLF001 - the library's
        if inner is not None:
            with suppress(OSError):
                inner.shutdown(socket.SHUT_RDWR)


def meaning(error: Exception) -> tuple[str, str]:
    """Return the code and the words of an error of the library, or of the server."""
    if isinstance(error, SMBResponseException):
        said = f"status 0x{error.status:x}"
        with suppress(Exception):  # which reads on in the answer
            said = error.message.removeprefix(_PREFIX)
        return _MEANINGS.get(error.status, "protocol_unavailable"), said
    if isinstance(error, SMBAuthenticationError):
        return "auth_failed", str(error)
    words = str(error)
    if isinstance(error, SMBException) and "but session was authenticated as a guest which " in words:
        return "guest_refused", "the server logs in whoever it does not know as a guest"
    if isinstance(error, SMBException) and words.startswith(_TIMEOUT):
        return "timeout", "no answer in time"
    if isinstance(error, SMBConnectionClosed | OSError):
        return "connection_lost", words
    return "connection_lost", f"the server's answer makes no sense ({words or type(error).__name__})"
