"""A system host that is started by hand, as root: a helper keeps root, and the server goes on as an account of its own.

Where systemd starts both, each by its own unit, nothing of this is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from msgspec import Struct

from doorward.cli.state import SYSTEM
from doorward.host.errors import HostError
from doorward.host.helper.places import SOCKET, VARIABLE
from doorward.proxy.starting import command, worker_account
from doorward.store.lock import LENT, StateInUseError, check_state

ACCOUNT: Final = "doorward"
"""Who the server runs as, unless its state directory belongs to another account that is not root."""
_RUN: Final = Path("/run/doorward")


class SplitError(Exception):
    """Why a program of the system host can't give up root, in one sentence for the operator."""


class FrontAccount(Struct, frozen=True):
    """Who the server is to run as."""

    uid: int
    gid: int


def is_needed() -> bool:
    """Whether this process is root and knows of no helper."""
    return os.geteuid() == 0 and VARIABLE not in os.environ


def serve_split(state: Path, arguments: Sequence[str]) -> NoReturn:
    """Start a helper, and be the front from here on: this process executes ``doorward`` again, without root.

    ``state`` is made for the front's account, or given to it where it was root's. Raises SplitError.
    """
    with _explained(state):
        account = front_account(state)
        hand_over(state, account)
        program, environment = _front(_helper(state, account), account, arguments)
        os.execve(program[0], program, environment)  # noqa: S606 - no shell


def look_split(state: Path, arguments: Sequence[str]) -> NoReturn:
    """Be the owner of a state directory that is there, with the helper of its server, or one that only looks.

    Raises SplitError.
    """
    with _explained(state):
        facts = state.stat()
        account = FrontAccount(facts.st_uid, _group(facts.st_uid, facts.st_gid))
        running = next((path for path in _sockets(state) if _listens(path)), None)
        program, environment = _front(running or _helper(state, account), account, arguments)
        sys.exit(run_apart(program, environment))


@contextmanager
def _explained(state: Path) -> Iterator[None]:
    try:
        yield
    except StateInUseError as why:
        raise SplitError(str(why)) from why
    except OSError as error:
        raise SplitError(f"{error.filename or state} can't be used: {error.strerror}.") from error


def _helper(state: Path, account: FrontAccount) -> Path:
    """Start a helper that lives as long as this process, whatever it executes; return its socket. Raises OSError."""
    path, listener = _listening(state, account)
    lifeline, kept = os.pipe()
    os.set_inheritable(kept, True)  # noqa: FBT003 - the name says it
    helper = [
        sys.executable, "-m", "doorward.host.helper.running", f"--user={account.uid}", f"--socket={listener.fileno()}",
        f"--lifeline={lifeline}", f"--workers={json.dumps(_workers(state, account))}",
    ]  # fmt: skip
    kept_names = ("PATH", "PYTHONPATH", "DOORWARD_LOG_LEVEL")
    environment = {name: os.environ[name] for name in kept_names if name in os.environ}
    subprocess.Popen(
        helper, stdin=subprocess.DEVNULL, stdout=2, cwd="/", env=environment,
        pass_fds=[listener.fileno(), lifeline], start_new_session=True,
    )  # fmt: skip
    return path


def run_apart(program: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in a session without the terminal of root, and return its exit code.

    A server that was taken over has the account that the program has, and could make it type into that terminal (TIOCSTI).
    """
    with subprocess.Popen(program, env=environment, close_fds=False, start_new_session=True) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            raise
    return code if code >= 0 else 128 - code


def _front(helper: Path, account: FrontAccount, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command that goes on as the account, and its environment. Raises SplitError."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SplitError("setpriv (of util-linux) is not installed; without it root can't be given up.")
    rights = "-all,+net_bind_service"
    front = [
        setpriv, f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--no-new-privs",
        f"--inh-caps={rights}", f"--ambient-caps={rights}", f"--bounding-set={rights}", "--",
        sys.executable, "-m", "doorward", *arguments,
    ]  # fmt: skip
    return front, {**os.environ, VARIABLE: str(helper)}


def front_account(state: Path) -> FrontAccount:
    """Return who the server of a state directory is to run as. Raises SplitError."""
    try:
        owner = state.stat()
    except FileNotFoundError:
        owner = None
    if owner is not None and owner.st_uid != 0:
        return FrontAccount(owner.st_uid, _group(owner.st_uid, owner.st_gid))
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise SplitError(
            f"The server of the system host does not run as root, and there is no account {ACCOUNT} for it. Make one: "
            f"useradd --system --no-create-home --shell /usr/sbin/nologin {ACCOUNT}"
        ) from None
    return FrontAccount(found.pw_uid, found.pw_gid)


def hand_over(state: Path, account: FrontAccount) -> None:
    """Make the state directory, or give one that is root's to the account, with all that is in it but what workers have.

    Raises OSError, StateInUseError.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if state.stat(follow_symlinks=False).st_uid == account.uid:
        return
    check_state(state)  # nobody but root could plant anything there
    for place, directories, files, at in os.fwalk(state, follow_symlinks=False):
        if place == str(state):
            directories[:] = [name for name in directories if name not in LENT or os.stat(name, dir_fd=at).st_uid == 0]
        for name in (*directories, *files):
            os.chown(name, account.uid, account.gid, dir_fd=at, follow_symlinks=False)
    os.chown(state, account.uid, account.gid, follow_symlinks=False)


def _group(user: int, otherwise: int) -> int:
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return otherwise


def _sockets(state: Path) -> list[Path]:
    """Return where helpers of a state directory may listen."""
    found = sorted(_RUN.glob(f"host-{_digest(state)}-*.sock"))
    return [*found, SOCKET] if state == SYSTEM else found


def _digest(state: Path) -> str:
    return hashlib.sha256(os.fsencode(state)).hexdigest()[:16]


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        return connection.connect_ex(str(path)) == 0


def _listening(state: Path, account: FrontAccount) -> tuple[Path, socket.socket]:
    """Listen for the front alone, in a directory of root's. Raises SplitError, OSError."""
    _RUN.mkdir(mode=0o755, exist_ok=True)
    if _RUN.stat(follow_symlinks=False).st_uid != 0:
        raise SplitError(f"{_RUN} does not belong to root.")
    for left in _sockets(state):  # by helpers that were killed
        if left != SOCKET and not _listens(left):
            left.unlink(missing_ok=True)
    path = _RUN / f"host-{_digest(state)}-{os.getpid()}.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    os.chown(path, account.uid, account.gid, follow_symlinks=False)
    listener.listen(16)
    return path, listener


def _workers(state: Path, account: FrontAccount) -> list[str]:
    """Return the command by which the helper starts session workers, as an account of theirs; none where there is none."""
    try:
        return [*command(state, worker_account()), f"--control-user={account.uid}"]
    except HostError:
        return []


def give_up_root(state: Path, *, serves: bool) -> None:
    """Go on as another account, with a helper that stays root, where this process is root: then this does not return.

    Raises SystemExit, with the reason on standard error.
    """
    if not is_needed():
        return
    split = serve_split if serves else look_split
    try:
        split(state, sys.argv[1:])
    except SplitError as why:
        sys.exit(f"doorward can't start: {why}")
