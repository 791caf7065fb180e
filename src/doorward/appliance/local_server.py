"""The socket in the state directory at which its owner can ask for what needs no login (``local_requests``)."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from functools import partial
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import asdict

from doorward.appliance.local_requests import (
    MAX_LINE,
    SOCKET,
    AdoptSessions,
    LocalAnswer,
    LocalRequest,
    RequestRefused,
    ResetApproval,
    ResetDone,
    ResetPassword,
    ResetRequest,
    SessionsAdopted,
    short_name,
)
from doorward.archiving.adopting import NotAdoptedError, SessionAdoption
from doorward.events.events import Events
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.queue import CommitQueue, QueueTimeoutError
from doorward.transaction.reset import NotResetError, reset_approval, reset_password
from doorward.transaction.untold import tell

log = structlog.get_logger()

_READ_SECONDS = 5.0
_CREDENTIALS = struct.Struct("3i")
"""struct ucred of <sys/socket.h>: process, user, group."""


class LocalServer:
    """Takes requests from root and from the user of this process; everybody else's are refused."""

    def __init__(
        self, state: Path, pipeline: Pipeline, queue: CommitQueue, events: Events, adoption: SessionAdoption
    ) -> None:  # fmt: skip
        self._path, self._pipeline, self._queue, self._events = state / SOCKET, pipeline, queue, events
        self._adoption, self._adopting = adoption, asyncio.Lock()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen, and raise the alerts of what happened while no server ran. Without room there is no socket."""
        await asyncio.to_thread(self._tell)
        try:
            listening = _bound(self._path)
        except OSError as error:
            log.error("no local requests are taken", reason=error.strerror, file=str(self._path))
            return
        self._server = await asyncio.start_unix_server(self._connected, sock=listening, limit=MAX_LINE)

    def stop(self) -> None:
        """Take no more requests."""
        self._adoption.stop()
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answered(reader, writer.get_extra_info("socket"))
            writer.write(msgspec.json.encode(answer) + b"\n")
            async with asyncio.timeout(_READ_SECONDS):
                await writer.drain()
        except (OSError, TimeoutError, ValueError):  # gone, silent, or a line without end
            log.info("a local request was not read")
        finally:
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader, connection: socket.socket) -> LocalAnswer | RequestRefused:
        process, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        # Read before anything is answered: what is left unread at the end would take the response from the other side.
        async with asyncio.timeout(_READ_SECONDS):
            line = await reader.readline()
        if user not in {0, os.geteuid()}:
            log.warning("a local request of another user was refused", user=user, process=process)
            return RequestRefused("Only root and the owner of the state directory may ask for this.")
        if user != 0 and self._pipeline.host.name == "system" and is_restricted(process):
            log.warning("a local request of a program that may gain no rights was refused", process=process)
            return RequestRefused("A program that the server started may not ask for this; ask as root.")
        try:
            request = msgspec.json.decode(line, type=LocalRequest)
        except msgspec.DecodeError:
            return RequestRefused("This server does not know the request; it may be of another release.")
        if isinstance(request, AdoptSessions):
            return await self._adopt(request)
        return await self._reset(request, user)

    async def _adopt(self, request: AdoptSessions) -> SessionsAdopted | RequestRefused:
        if self._adopting.locked():
            return RequestRefused("Sessions are being taken over already.")
        try:
            async with self._adopting:
                done = await asyncio.to_thread(self._adoption.step, request.archive, request.node, request.after)
        except NotAdoptedError as why:
            return RequestRefused(str(why))
        except Exception:
            log.exception("a local request failed")
            return RequestRefused("An internal error occurred; the log has the details.")
        return SessionsAdopted(**{**asdict(done), "named": list(done.named)})

    async def _reset(self, request: ResetRequest, user: int) -> ResetDone | RequestRefused:
        try:
            revision = await self._queue.run(partial(self._commit, request))
        except NotResetError as why:
            return RequestRefused(str(why))
        except QueueTimeoutError:
            return RequestRefused("Other commits were not done in time; try again.")
        except Exception:
            log.exception("a local request failed")
            return RequestRefused("An internal error occurred; the log has the details.")
        what = "the password of admin" if isinstance(request, ResetPassword) else "the approval of changes"
        log.warning("a local request was carried out", reset=what, user=user, revision=revision)
        return ResetDone(revision)

    def _commit(self, request: ResetRequest) -> int:
        if isinstance(request, ResetApproval):
            revision = reset_approval(self._pipeline)
        else:
            revision = reset_password(self._pipeline, request.password)
        self._tell()
        return revision

    def _tell(self) -> None:
        tell(self._pipeline.store, self._events.raise_)


def is_restricted(process: int) -> bool:
    """Whether a process can gain no rights, as all that a server of a system host starts; one that is gone counts as such."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return "NoNewPrivs:\t0\n" not in status


def _bound(path: Path) -> socket.socket:
    """Return the listening socket, which only its owner can connect to. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    try:
        with short_name(path) as name:
            listening.bind(name)
        path.chmod(0o600)
        listening.listen(4)
    except OSError:
        listening.close()
        raise
    return listening
