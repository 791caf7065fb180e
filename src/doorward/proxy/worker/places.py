"""Where workers have their sockets and trails. Control and the supervisor look here for each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SOCKET = ".sock"


@dataclass(frozen=True, slots=True)
class Places:
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

    def prepare(self, user: int | None = None) -> None:
        """Make both directories, for nobody else. ``user``: whose they are to be. Raises OSError."""
        for directory in (self.sockets, self.trails):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if user is not None and directory.stat(follow_symlinks=False).st_uid != user:
                for left in directory.iterdir():  # by workers that ran as somebody else
                    os.chown(left, user, -1, follow_symlinks=False)
                os.chown(directory, user, -1, follow_symlinks=False)
            directory.chmod(0o700)

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
