"""The helper as a process: ``doorward-host``, root, for one front. It ends when it is told, or with who started it by hand."""

from __future__ import annotations

import argparse
import json
import logging
import os
import pwd
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from doorward.host.errors import HostError
from doorward.host.helper.serving import HelperServer, Rules
from doorward.host.notify import notify
from doorward.host.own_machine import own_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST_DESCRIPTOR: Final = 3
"""Where systemd puts the socket that it has made (sd_listen_fds(3))."""

log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the helper; return the exit code."""
    parser = argparse.ArgumentParser(prog="doorward-host", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--user", action="append", default=[], required=True, help="account of the front, by name or number")
    parser.add_argument("--socket", type=int, default=_FIRST_DESCRIPTOR, help="descriptor of the listening socket; default: 3")
    parser.add_argument("--lifeline", type=int, help="descriptor whose end is the end of the helper")
    parser.add_argument("--workers", type=json.loads, default=[], help="command that starts session workers, as a JSON list")
    given = parser.parse_args(arguments)
    _configure_log()
    try:
        users = {0, *map(_number, given.user)}
        host = own_machine()
        listener = socket.socket(fileno=given.socket)
    except HostError as failure:
        sys.stderr.write(f"doorward-host can't start: {failure.reason}.\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"doorward-host can't start: no socket to listen on ({error.strerror}).\n")
        return 1
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    server = HelperServer(host, listener, Rules(users, workers=given.workers))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if given.lifeline is not None:
        threading.Thread(target=_hold, args=(given.lifeline, server), name="lifeline", daemon=True).start()
    notify("READY=1")
    log.info("helper serves", users=sorted(users))
    server.serve()
    notify("STOPPING=1")
    host.stop()
    if given.lifeline is not None:  # the socket is of no use to another one
        Path(listener.getsockname()).unlink(missing_ok=True)
    return 0


def _number(user: str) -> int:
    """Return the number of an account. Raises HostError."""
    try:
        return int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise HostError(f"there is no account {user}") from None


def _hold(lifeline: int, server: HelperServer) -> None:
    os.read(lifeline, 1)
    server.stop()


def _configure_log() -> None:
    level = logging.getLevelNamesMapping().get(os.environ.get("DOORWARD_LOG_LEVEL", "info").upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
