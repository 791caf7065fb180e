"""Where workers have their sockets and trails. Control and the supervisor look here for each other."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from msgspec import Struct

SOCKET = ".sock"
_PRIVATE, _SHARED = 0o700, 0o2770
"""What is made in a shared directory belongs to its group."""


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
            directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            facts = directory.stat(follow_symlinks=False)
            if any(wanted not in {-1, found} for wanted, found in ((owner, facts.st_uid), (members, facts.st_gid))):
                for left in directory.iterdir():  # by workers that ran as somebody else
                    os.chown(left, owner, members, follow_symlinks=False)
                os.chown(directory, owner, members, follow_symlinks=False)
            if stat.S_IMODE(directory.stat(follow_symlinks=False).st_mode) != mode:
                directory.chmod(mode)

    def held(self) -> Places:
        """Return the same places by directories that are open: whoever gives up root then need not get to them by their paths."""
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return Places(*(Path(f"/proc/self/fd/{os.open(path, flags)}") for path in (self.sockets, self.trails)))

    def stand(self) -> tuple[tuple[int, int], ...] | None:
        """Return what tells these directories from others that come in their place; None: one is gone."""
        try:
            found = [path.stat() for path in (self.sockets, self.trails)]
        except OSError:
            return None
        if not all(facts.st_nlink for facts in found):  # they are held open
            return None
        return tuple((facts.st_dev, facts.st_ino) for facts in found)
