"""The nodes of this machine, by their state directories."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

SYSTEM = Path("/var/lib/doorward")
VARIABLE = "DOORWARD_STATE"
"""Names the state directory where no option does."""
ADDRESS = "address"
"""The file of a state directory in which a server says where administrators find it, while it runs."""


class LocalNode(Struct, frozen=True):
    """The state directory of a node on this machine."""

    state: Path

    def file(self, name: str) -> Path | None:
        """Return a file of the state directory that this user may read."""
        path = self.state / name
        return path if os.access(path, os.R_OK) else None

    def secret(self, name: str) -> str:
        """Return the text of a file of the state directory. Raises Usage.

        It has to be a file of whoever owns the directory, under one name: what is read is sent to the server, and one that was
        taken over could lead root by a link to any file of the machine.
        """
        from doorward.cli.failures import Usage
        from doorward.host.ownership import read_own

        try:
            return read_own(self.state / name, owner=self.state.stat().st_uid).decode("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Usage(f"{self.state / name} can't be read: {getattr(error, 'strerror', None) or error}.") from None

    @property
    def url(self) -> str | None:
        """Where its server listens; None where none runs."""
        path = self.file(ADDRESS)
        if path is None or not self._runs():
            return None
        try:
            return path.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def _runs(self) -> bool:
        """Whether the process of the lock is there. After ``kill -9`` the address stays behind, the process does not."""
        try:
            os.kill(int((self.state / "lock").read_text(encoding="ascii")), 0)
        except PermissionError:
            return True
        except (OSError, ValueError):
            return False
        return True

    @property
    def trusted(self) -> bool:
        """Whether it belongs to this user or to root: what somebody else put there would say whom to send passwords to.

        That of the system, which root alone can make, belongs to the account of its server.
        """
        try:
            return self.state == SYSTEM or self.state.stat().st_uid in {0, os.geteuid()}
        except OSError:
            return False


def sandbox_state() -> Path:
    """Return the default state directory of the sandbox."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "doorward"


class HostMode(StrEnum):
    """Which host the settings take effect on."""

    sandbox = "sandbox"
    system = "system"


def state_directory(given: Path | None, machine: HostMode) -> Path:
    """Return the state directory: the given one, else that of the host kind."""
    if given is not None:
        return given.absolute()
    return SYSTEM if machine is HostMode.system else sandbox_state()


def given_state() -> Path | None:
    """Return the state directory that the environment names."""
    text = os.environ.get(VARIABLE)
    return Path(text) if text else None


def origin(state: Path | None) -> str:
    """Return what an error about a state directory begins with: the variable, where that names it."""
    return f"{VARIABLE}: " if state is not None and state == given_state() else ""


def local_node(url: str | None = None) -> LocalNode | None:
    """Return the node of this machine that is meant: the one that listens at an address, or any that runs, else one that was.

    The sandbox of this user goes before the system.
    """
    found = [node for node in (LocalNode(sandbox_state()), LocalNode(SYSTEM)) if node.trusted and node.file("tls/ca.pem")]
    running = [node for node in found if node.url and url in {None, node.url}]
    return next(iter([*running, *found]), None)
