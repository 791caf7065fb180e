"""Kind `NameServers`: /etc/resolv.conf, or a file for systemd-resolved where that is who answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.files import FileEntry, Files
from doorward.host.kinds.present import PresentKind
from doorward.host.network_resources import NameServers

if TYPE_CHECKING:
    from doorward.host.plan import HostWarning

RESOLV_CONF: Final = "/etc/resolv.conf"
DROP_IN: Final = "/etc/systemd/resolved.conf.d/10-doorward.conf"

_HEAD: Final = "# Written by Doorward from network/dns and network/naming; a change by hand counts as drift.\n"


class Resolved(Protocol):
    """The service systemd-resolved."""

    def active(self) -> bool:
        """Whether it runs."""

    def restart(self) -> None:
        """Make it read its files; `HostError` when it does not start."""


class NameServersKind(PresentKind[NameServers]):
    """Handles `NameServers` over a `Files`."""

    rank = 9

    def __init__(self, files: Files, resolved: Resolved | None = None) -> None:
        """`resolved` where the machine may have it."""
        self._files = files
        self._resolved = resolved

    @override
    def touches(self, resource: NameServers) -> str | None:
        """The file that is in use on this host."""
        return self._path()

    @override
    def exists(self, resource: NameServers) -> bool:
        """The file holds just these servers."""
        entry = self._files.read(self._path())
        return entry is not None and entry.target is None and entry.content == self._content(resource)

    @override
    def create(self, resource: NameServers, deadline: float) -> None:
        """Write the file; systemd-resolved reads it at once."""
        self._write(FileEntry(self._content(resource)))

    @override
    def delete(self, resource: NameServers) -> None:
        """Remove the file."""
        self._write(None)

    @override
    def check(self, resource: NameServers) -> list[HostWarning]:
        """A list that another program writes is left alone. Raises HostError."""
        owner = self._owner()
        if owner is not None:
            raise HostError(f"{owner} writes {RESOLV_CONF}; take the name servers from it first")
        return []

    @override
    def capture(self, resource: NameServers) -> object:
        """The whole file."""
        return self._files.read(self._path())

    @override
    def reinstate(self, resource: NameServers, before: object, deadline: float) -> None:
        """The whole file."""
        if self._files.read(self._path()) != before:
            self._write(before if isinstance(before, FileEntry) else None)

    @override
    def text(self, resource: NameServers) -> str:
        """See `PresentKind.text`."""
        return "name servers"

    def _path(self) -> str:
        return DROP_IN if self._uses_resolved() else RESOLV_CONF

    def _uses_resolved(self) -> bool:
        entry = self._files.read(RESOLV_CONF)
        linked = entry is not None and "systemd/resolve/" in (entry.target or "")
        return linked and self._resolved is not None and self._resolved.active()

    def _owner(self) -> str | None:
        entry = self._files.read(RESOLV_CONF)
        if entry is None or self._uses_resolved():
            return None
        if entry.target is not None:
            return f"another program (by the link to {entry.target})"
        first, _, _ = entry.content.decode("utf-8", "replace").partition("\n")
        return "NetworkManager" if "NetworkManager" in first else None

    def _content(self, resource: NameServers) -> bytes:
        return (resolved_conf(resource) if self._uses_resolved() else resolv_conf(resource)).encode()

    def _write(self, entry: FileEntry | None) -> None:
        path = self._path()
        if entry is None:
            self._files.remove(path)
        else:
            self._files.write(path, entry)
        if path == DROP_IN and self._resolved is not None:
            self._resolved.restart()


def resolv_conf(wanted: NameServers) -> str:
    """The content of /etc/resolv.conf."""
    return "".join([_HEAD, f"search {wanted.search}\n", *(f"nameserver {server}\n" for server in wanted.servers)])


def resolved_conf(wanted: NameServers) -> str:
    """The content of the file for systemd-resolved."""
    return f"{_HEAD}[Resolve]\nDNS={' '.join(wanted.servers)}\nDomains={wanted.search}\n"
