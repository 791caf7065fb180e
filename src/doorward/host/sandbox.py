"""The sandbox host.

A directory is the file-system root, real daemons run as our children and never touch the machine.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from doorward.host.build import NetworkParts, assemble, remove_tree, supervised
from doorward.host.drivers.chrony_conf import sandbox_layout
from doorward.host.drivers.no_network import NoNetwork
from doorward.host.errors import HostError, os_reason

if TYPE_CHECKING:
    from doorward.host.engine import Host

_MAX_SOCKET: Final = 107
"""Bytes of a UNIX socket path on Linux without its final zero."""

_CLIENT_SOCKET: Final = "/chronyc.4194304.sock"
"""chronyc makes its own socket beside the daemon's, named after its process id: the longest name in the directory."""

_PRIVATE: Final = 0o700

_PLAIN: Final = re.compile(rb"[A-Za-z0-9._/+@=:,-]+")


def sandbox(state: Path) -> Host:
    """A host whose root is `state`/root. Nothing is touched until `start`; one process at a time may use a `state`."""
    state = state.resolve()
    run = run_directory(state)
    root = state / "root"
    elsewhere = run.parent != state
    # chronyd's configuration knows no quoting, so a state directory with blanks in its name is reached through a link
    # in `run`.
    plain = _PLAIN.fullmatch(os.fsencode(state)) is not None
    seen = str(root) if plain else f"{run}/root"
    # By number when the user has no name, as in many containers: chronyd then declines, and says why in its log.
    user = _user_name()
    layout = sandbox_layout(seen, str(run), user, superuser=os.geteuid() == 0)

    def prepare_run() -> None:
        _make_private(run)
        link = run / "root"
        if not plain and not link.is_symlink():
            link.symlink_to(root)

    service, clear_way = supervised(layout, prepare_run, lambda command: layout.conf in command)
    return assemble(
        "sandbox",
        root,
        layout,
        service,
        sweep=None,
        run=clear_way,
        clear=lambda: remove_tree(run) if elsewhere else None,
        network=NetworkParts(NoNetwork()),
        state=state,
    )


def run_directory(state: Path) -> Path:
    """Where sockets lie.

    `state`/run, or when that is too long or not plain a private directory in /tmp derived from `state`.
    """
    near = state / "run"
    if _PLAIN.fullmatch(os.fsencode(near)) and len(os.fsencode(near)) + len(_CLIENT_SOCKET) <= _MAX_SOCKET:
        return near
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    return Path(f"/tmp/doorward-{os.geteuid()}-{digest}")  # noqa: S108 - ownership is checked in _make_private


def _make_private(directory: Path) -> None:
    """A 0700 directory that is ours; `HostError` when somebody else was there first."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=_PRIVATE, exist_ok=True)
        facts = directory.lstat()
        if stat.S_ISLNK(facts.st_mode) or facts.st_uid != os.geteuid():
            raise HostError(f"{directory} belongs to someone else")
        if stat.S_IMODE(facts.st_mode) != _PRIVATE or facts.st_gid != os.getegid():
            # chronyd disables its socket without failing when the directory is open to others.
            os.chown(directory, -1, os.getegid())
            directory.chmod(_PRIVATE)
    except OSError as error:
        raise HostError(os_reason(f"preparing the directory {directory} failed", error)) from error


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
