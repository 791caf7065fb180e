"""SSH servers as people write them, and the host keys that are trusted of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from doorward.cli.failures import CommandError, Usage
from doorward.client.blocking import Client
from doorward.client.errors import ApiRefusedError
from doorward.sessions.admission import SSH_PORT, UnknownTargetError, parse_server
from doorward.tree.plaintext import plain

HOST_KEYS: Final = "/api/ssh-host-keys"
_USER: Final = re.compile(r"[^@:\s\x00-\x20\x7f]{1,256}\Z")
_LOOPBACK: Final = "127.0.0.1"
_PAGE: Final = 1000
"""How many keys are asked for at a time."""


class ServerName(Struct, frozen=True):
    """A server: a name in lower case or an address in its usual form."""

    host: str
    port: int = SSH_PORT

    @property
    def label(self) -> str:
        """How users of the gateway write it; the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == SSH_PORT else f"{host}:{self.port}"


class ServerHostKey(Struct, frozen=True):
    """A host key of a server. ``public_key``: ``type base64``; ``id``: what it is known by, where it is trusted."""

    public_key: str
    fingerprint: str
    id: str = ""

    @property
    def type(self) -> str:
        """The type, such as ``ssh-ed25519``."""
        return self.public_key.partition(" ")[0]


def server_of(text: str) -> ServerName:
    """Return the server of ``SERVER`` or ``SERVER:PORT``. ``localhost`` is 127.0.0.1, which policies name. Raises Usage."""
    try:
        host, port = parse_server(text)
    except UnknownTargetError as error:
        raise Usage(str(error)) from None
    return ServerName(_LOOPBACK if host == "localhost" else host, port or SSH_PORT)


def login_of(text: str) -> tuple[str, ServerName]:
    """Return user and server of ``[USER@]SERVER[:PORT]``; no user is an empty one. Raises Usage."""
    user, _, server = text.rpartition("@")
    if user and not _USER.match(user):
        raise Usage(f"{plain(user)} is no user; it is written USER@SERVER:PORT.")
    return user, server_of(server)


def scanned(client: Client, server: ServerName) -> list[ServerHostKey]:
    """Return what a server offers to the node now; nothing is trusted by that. Raises CommandError where it offers nothing."""
    order = {"host": server.host, "port": server.port, "scan": True}
    found = client.write("POST", HOST_KEYS, order, about=server.label).content["body"]
    if found["code"]:
        raise CommandError(f"{server.label}: {found['message'] or found['code']}")
    return [ServerHostKey(key["public_key"], key["fingerprint"]) for key in found["host_keys"]]


def trusted(client: Client, server: ServerName | None = None) -> list[Mapping[str, Any]]:
    """Return the bodies of the keys that are trusted, of one server or of all, each with its ``key``."""
    return [
        {"key": item["key"], **item["body"]}
        for item in _all(client)
        if server is None or (item["body"]["host"], item["body"]["port"]) == (server.host, server.port)
    ]


def _all(client: Client) -> Iterator[Mapping[str, Any]]:
    """Yield the items of all pages."""
    offset = 0
    while items := client.get(f"{HOST_KEYS}?limit={_PAGE}&offset={offset}").content["items"]:
        yield from items
        if len(items) < _PAGE:
            return
        offset += _PAGE


def unknown(client: Client, server: ServerName, offered: Sequence[ServerHostKey]) -> list[ServerHostKey]:
    """Return which of the offered keys are not trusted yet. Raises CommandError where another one of a type is."""
    known = {one["type"]: one for one in trusted(client, server)}
    others = [key for key in offered if key.type in known and known[key.type]["public_key"] != key.public_key]
    if others:
        lines = [f"  {key.type}: trusted {known[key.type]['fingerprint']}, offered {key.fingerprint}" for key in others]
        raise CommandError(
            f"{server.label} offers another key than the one that is trusted. Somebody may be in between.",
            *lines,
            f"If the server really has a new key: doorward host-keys remove {server.label}",
        )
    return [key for key in offered if key.type not in known]


def trust(client: Client, server: ServerName, keys: Sequence[ServerHostKey]) -> list[str]:
    """Trust keys of a server; return what they are known by. Where one is refused, none is trusted. Raises Failure."""
    made: list[str] = []
    try:
        for key in keys:
            order = {"host": server.host, "port": server.port, "public_key": key.public_key}
            made.append(client.write("POST", HOST_KEYS, order, about=server.label).content["key"])
    except ApiRefusedError:
        for name in made:
            forget(client, name)
        raise
    return made


def forget(client: Client, name: str) -> None:
    """Trust a key no longer. Raises Failure."""
    client.write("DELETE", f"{HOST_KEYS}/{name}", about=name)
