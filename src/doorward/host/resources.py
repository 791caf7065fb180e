"""The resource kinds: plain values that say what a machine should be like. Nothing here touches the machine.

Those of the network are in `network_resources`. A new one is a frozen dataclass here, a file in `kinds/`, and a line in the table
that its host is built with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


class HostResource(ABC):
    """One thing that a machine should have or be."""

    __slots__ = ()

    @property
    @abstractmethod
    def origin(self) -> str:
        """The configuration href that it stems from ("/api/configuration/datetime/ntp_servers")."""

    @property
    @abstractmethod
    def identity(self) -> tuple[str, str]:
        """The pair (kind, name) by which an old and a new value of the same thing are recognised."""

    @property
    def unmanaged(self) -> bool:
        """Whether a fresh appliance takes the thing as the machine has it: it is left alone until a commit changes it."""
        return False

    @property
    def reload_on(self) -> tuple[str, ...]:
        """The absolute paths whose change makes it act, though it is the same itself."""
        return ()


@dataclass(frozen=True, slots=True)
class File(HostResource):
    """A regular file: absolute `path` on the host, whole `content`, permission bits `mode`.

    `label` names it in plans ("sources"). `unmanaged`: see `HostResource.unmanaged`.
    """

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    origin: str = ""
    label: str = ""
    unmanaged: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """("file", path)."""
        return ("file", self.path)


@dataclass(frozen=True, slots=True)
class Symlink(HostResource):
    """A symbolic link at the absolute `path` that reads exactly `target` (never rewritten, also in a sandbox)."""

    path: str
    target: str
    origin: str = ""
    label: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("symlink", path)."""
        return ("symlink", self.path)


@dataclass(frozen=True, slots=True)
class Zone(HostResource):
    """A proof, not a thing.

    Offset and abbreviation of now, computed through `link`, are those of the time zone `name`.
    """

    name: str
    link: str = "/etc/localtime"
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("zone", link)."""
        return ("zone", self.link)

    @property
    def reload_on(self) -> tuple[str, ...]:
        """Its link."""
        return (self.link,)


@dataclass(frozen=True, slots=True)
class Daemon(HostResource):
    """A running daemon ("chronyd").

    It is reloaded when a file in `reload_on` (absolute paths) changes, restarted when one in `restart_on` does. `lists` is what
    its read-back must show, names without regard to case; entries that the old value had and this one has not must be gone.
    """

    name: str
    reload_on: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    origin: str = ""
    restart_on: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        """("daemon", name)."""
        return ("daemon", self.name)


@dataclass(frozen=True, slots=True)
class Job(HostResource):
    """Something that is due at times of day: `times` ("02:30"), every day, in the time zone `zone`.

    `name` says what runs ("system_backup"), `subject` by what ("the key of a policy"); without times it is only run on demand.
    """

    name: str
    times: tuple[str, ...]
    zone: str
    subject: str = ""
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("job", name)."""
        return ("job", self.name)


class AccessRule(Struct, frozen=True):
    """Whom a listener lets in to what.

    `service` is a name that the composition root knows ("admin_web", "user_web", "redirect", "cluster"), `allowed_from`
    networks in CIDR notation, host bits allowed; None: everybody.
    """

    service: str
    allowed_from: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Who a TLS server says it is.

    `certificates` is its certificate with the chain in PEM, `private_key` only the name of the secret, `fingerprint` the
    SHA-256 of the certificate in hex.
    """

    certificates: str = field(repr=False)
    private_key: str
    fingerprint: str


class ShownHostKey(Struct, frozen=True):
    """A host key that SSH clients get to see: `public_key` as "type base64", `secret` names the one that has its private key."""

    public_key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Listener(HostResource):
    """An in-process server on the IP `address` and TCP `port`.

    The first of its `rules` that lets a client in decides what it is served; whom none lets in is disconnected right after
    accept. `shows` is what new TLS connections get to see, None where the service has its own or speaks no TLS.
    `https_port` is where a redirect leads to, `host_keys` are what SSH clients may get to see.
    """

    address: str
    port: int
    rules: tuple[AccessRule, ...]
    shows: ServerCertificate | None = None
    https_port: int = 0
    origin: str = ""
    host_keys: tuple[ShownHostKey, ...] = ()

    @property
    def name(self) -> str:
        """Address and port as in a URL ("[::1]:8443")."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def identity(self) -> tuple[str, str]:
        """("listener", name): an address and port belong to one listener."""
        return ("listener", self.name)


def index(resources: Iterable[HostResource]) -> dict[tuple[str, str], HostResource]:
    """Resources by identity, in order; `ValueError` when two of them claim the same thing."""
    table: dict[tuple[str, str], HostResource] = {}
    for resource in resources:
        if resource.identity in table:
            kind, name = resource.identity
            raise ValueError(f"two resources for the same {kind}: {name}")
        table[resource.identity] = resource
    return table
