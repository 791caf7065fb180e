"""Where workers have their sockets and trails. Control and the supervisor look here for each other.

``python -m doorward.proxy.worker.places STATE WORKERS CONTROL`` makes both directories for the accounts of workers and of
control; an installation does it as root.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

SOCKET = ".sock"
_PRIVATE, _SHARED = 0o700, 0o2770
"""What is made in a shared directory belongs to its group."""
_ITSELF = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""A directory, and not one that a link leads to."""


class Places(Struct, frozen=True):
    """``sockets``: a directory of mode 0700 with a socket for each worker; ``trails``: the directory of trails and journals."""

    sockets: Path
    trails: Path

    @classmethod
    def of(cls, state: Path) -> Places:
        """Return the places of a state directory."""
        return cls(state / "workers", state / "trails")

    @property
    def supervisor(self) -> Path:
        """The socket of the supervisor."""
        return self.sockets / "supervisor"

    @property
    def lock(self) -> Path:
        """Locked for as long as a supervisor lives."""
        return self.sockets / "lock"

    @property
    def log(self) -> Path:
        """Where a supervisor that was started in the background writes to."""
        return self.sockets / "log"

    def socket(self, worker: str) -> Path:
        """Return the socket of a worker."""
        return self.sockets / f"{worker}{SOCKET}"

    def workers(self) -> dict[str, Path]:
        """Return the sockets of all workers by their names; some may be dead."""
        try:
            return {path.name.removesuffix(SOCKET): path for path in sorted(self.sockets.glob(f"*{SOCKET}"))}
        except OSError:
            return {}

    def owners(self) -> set[int]:
        """Return who workers may run as: this process's own user, and that whom the directory of the sockets was given to.

        Raises OSError.
        """
        return {os.geteuid(), self.sockets.stat().st_uid}

    def prepare(self, user: int | None = None, group: int | None = None) -> None:
        """Make both directories, for nobody else but ``group``. ``user``: whose they are to be. Raises OSError."""
        mode = _PRIVATE if group is None else _SHARED
        owner, members = (-1 if one is None else one for one in (user, group))
        for directory in (self.sockets, self.trails):
            with suppress(FileExistsError):
                directory.mkdir(mode=_PRIVATE, parents=True)
            # The state directory is the server's, and this may be root: what stands there may be a link to any directory.
            at = os.open(directory, os.O_RDONLY | _ITSELF)
            try:
                _give(at, owner, members)
                if stat.S_IMODE(os.fstat(at).st_mode) != mode:
                    os.fchmod(at, mode)
            finally:
                os.close(at)

    def held(self) -> Places:
        """Return the same places by directories that are open: whoever gives up root then need not get to them by their paths."""
        return Places(*(Path(f"/proc/self/fd/{os.open(path, os.O_PATH | _ITSELF)}") for path in (self.sockets, self.trails)))

    def stand(self) -> tuple[tuple[int, int], ...] | None:
        """Return what tells these directories from others that come in their place; None: one is gone."""
        try:
            found = [path.stat() for path in (self.sockets, self.trails)]
        except OSError:
            return None
        if not all(facts.st_nlink for facts in found):  # they are held open
            return None
        return tuple((facts.st_dev, facts.st_ino) for facts in found)


def _give(directory: int, user: int, group: int) -> None:
    """Give an open directory, with what workers that ran as somebody else have left in it, to its owners; -1: as it is."""
    facts = os.fstat(directory)
    if all(wanted in {-1, found} for wanted, found in ((user, facts.st_uid), (group, facts.st_gid))):
        return
    for name in os.listdir(directory):
        left = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            facts = os.fstat(left)
            # Workers make no links: one may be a name of somebody else's file.
            if stat.S_ISDIR(facts.st_mode) or (not stat.S_ISLNK(facts.st_mode) and facts.st_nlink == 1):
                os.chown(f"/proc/self/fd/{left}", user, group)
        finally:
            os.close(left)
    os.fchown(directory, user, group)


def main(arguments: list[str]) -> int:
    """Make the directories; return the exit code."""
    from doorward.proxy.worker.privileges import user_named

    state, workers, control = arguments
    try:
        Places.of(Path(state)).prepare(user_named(workers)[0], user_named(control)[1])
    except OSError as error:
        sys.stderr.write(f"The directories of the session workers can't be used: {error}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
