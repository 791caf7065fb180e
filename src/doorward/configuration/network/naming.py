"""The name of the node: ``/api/configuration/network/naming``.

Committing it names the machine, writes ``/etc/hostname`` and the line ``127.0.1.1`` of ``/etc/hosts``, and reads them back. The
name is shown by ``/api/info``, in mails, syslog and the status of the cluster. The certificate of the web service keeps the old
one. In a sandbox the machine keeps its name, and the files are those of the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from doorward.host.identity import naming
from doorward.host.machine import Machine
from doorward.host.network_resources import Hostname, NetworkLine
from doorward.host.resources import File
from doorward.tree.fields import HostName, bad_format, host_name, text
from doorward.tree.models import Body
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/network/naming"


def label(value: str) -> str:
    """Return a host name of one label in lower case."""
    name = host_name(value)
    if "." in name:
        raise bad_format("Must be a name without domain.")
    return name


def _of_the_host(member: str) -> Callable[[], str]:
    return lambda: str(naming(Machine())[member])


class Naming(Body):
    """What the node is called."""

    hostname: Annotated[str, StringConstraints(max_length=64), AfterValidator(label)] = Field(
        default_factory=_of_the_host("hostname"),
        description="Name without domain; without it, that of the host.",
        examples=["node1"],
    )
    domainname: HostName = Field(
        default_factory=_of_the_host("domainname"), description="Domain; without it, that of the host.", examples=["example.com"]
    )
    nickname: Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(text)] | None = Field(
        default=None, description="A name for people, 1-64 characters."
    )


def render(snapshot: Snapshot) -> Iterator[File | NetworkLine | Hostname]:
    """Ask the host for the name, and for the files that keep it."""
    named = snapshot.read(NODE)
    name = named.hostname
    yield File("/etc/hostname", f"{name}\n".encode(), origin=PATH, unmanaged=True)
    yield NetworkLine("/etc/hosts", "127.0.1.1", f"127.0.1.1\t{name}.{named.domainname} {name}", origin=PATH)
    yield Hostname(name, origin=PATH)


NODE: Singleton[Naming] = Singleton(title="Name of the node", model=Naming, default=naming, scope="node", render=render)
