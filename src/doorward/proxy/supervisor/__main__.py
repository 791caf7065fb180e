"""``python -m doorward.proxy.supervisor --state DIR [--detach | --stop]``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from doorward.proxy.supervisor.background import configure_log, detach
from doorward.proxy.supervisor.ending import stop
from doorward.proxy.supervisor.supervisor import AlreadyRunningError, Supervisor
from doorward.proxy.worker import privileges
from doorward.proxy.worker.places import Places
from doorward.proxy.worker.process import WorkerSettings
from doorward.proxy.worker.sessions import Protocols


def _protocols() -> Protocols:
    import avt._avt
    import re2
    import uvloop

    from doorward.proxy.ssh.protocols import SshProtocols

    del avt, re2, uvloop  # they are imported for those that are forked
    return SshProtocols()


def main(arguments: list[str] | None = None) -> int:
    """Run the supervisor; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="doorward workers", description="Keeps session workers alive, as many as there are cores."
    )
    parser.add_argument("--state", type=Path, help="state directory: sockets in DIR/workers, trails in DIR/trails")
    parser.add_argument("--sockets", type=Path, help="directory of the sockets")
    parser.add_argument("--trails", type=Path, help="directory of the trails")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="how many; default: the cores")
    parser.add_argument("--user", help="the account to run as, where started as root")
    parser.add_argument("--control-user", action="append", default=[], help="account that control runs as, if another")
    parser.add_argument("--detach", action="store_true", help="go on in the background once the workers run")
    parser.add_argument("--stop", action="store_true", help="end the workers and all sessions")
    given = parser.parse_args(arguments)
    if given.state is None and (given.sockets is None or given.trails is None):
        parser.error("--state, or both --sockets and --trails")
    usual = Places.of(given.state or Path())
    places = Places((given.sockets or usual.sockets).absolute(), (given.trails or usual.trails).absolute())
    if given.stop:
        return 0 if stop(places) else 1
    try:
        return _run(places, given)
    except OSError as error:
        sys.stderr.write(f"The workers can't start: {error}.\n")
        return 1


def _run(places: Places, given: argparse.Namespace) -> int:
    controls = [privileges.user_named(name) for name in given.control_user]
    # Of control's group, where control is another user: it reads trails and removes old ones.
    group = controls[0][1] if controls and controls[0][0] not in {0, os.geteuid()} else None
    os.umask(0o077 if group is None else 0o007)
    configure_log()
    account = privileges.user_named(given.user) if given.user and os.geteuid() == 0 else None
    _protocols()  # before root is given up: another account may not get at all of Python
    places.prepare(account[0] if account else None, group)
    if account is not None:
        places = places.held()
        privileges.drop(*account)
    privileges.limit()
    ready = detach(places.log) if given.detach else None
    try:
        supervisor = Supervisor(WorkerSettings(places, _protocols, [user for user, _ in controls]), max(1, given.workers))
    except AlreadyRunningError:
        if ready is not None:
            os.write(ready, b"running\n")
        return 0
    supervisor.run(ready)
    return 0


if __name__ == "__main__":
    sys.exit(main())
