"""Which server a command talks to, and as whom: what was given, else the environment, else what this machine knows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from doorward.cli.failures import Unreachable, Usage
from doorward.cli.options import ConnectionOptions
from doorward.cli.state import LocalNode, local_node
from doorward.client.errors import UnsendableError
from doorward.client.trust import checked_url, on_this_machine

_FIRST_ACCOUNT = "admin"
_FIRST_PASSWORD = "initial-admin-password"  # noqa: S105 - the name of a file
_DEFAULT = "https://127.0.0.1:8443"


class CommandTarget(Struct, frozen=True):
    """A server and an account. ``node`` is the node on this machine if it is one, ``origin`` where each of the others is from."""

    url: str
    user: str
    password_file: Path | None = None
    ca: Path | None = None
    server_name: str | None = None
    pin: str | None = None
    node: LocalNode | None = None
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_password(self) -> Path | None:
        """The file with the password of the first start, where it is the one to try: at the node itself, and nowhere else."""
        if self.node is None or self.user != _FIRST_ACCOUNT or not (on_this_machine(self.url) or self.url == self.node.url):
            return None
        return self.node.file(_FIRST_PASSWORD)


def resolved(given: ConnectionOptions) -> CommandTarget:
    """Return the target of a command. What was given on the command line goes before the environment. Raises Usage."""
    origin: dict[str, str] = {}

    def value(name: str) -> str | None:
        there = getattr(given, name)
        variable = f"DOORWARD_{name.upper()}"
        origin[name] = variable if there is None else f"--{name.replace('_', '-')}"
        return (os.environ.get(variable) or None) if there is None else str(there)

    state, url, ca, password_file = value("state"), value("url"), value("ca"), value("password_file")
    if given.state and not given.url:  # a node that is named beats what the environment says about another one
        url, ca = None, str(given.ca) if given.ca else None
    if given.password_file is None and os.environ.get("DOORWARD_PASSWORD"):
        password_file = None
    url = _checked(url, origin["url"]) if url else None
    node = LocalNode(Path(state).absolute()) if state else local_node(url)
    if url is None and state and node and node.url is None:
        raise Unreachable(f"{origin['state']}: no server runs in {state} that this user may talk to.")
    found = url or (node.url if node else None) or _DEFAULT
    user = value("user") or _FIRST_ACCOUNT
    return CommandTarget(
        found, user, _path(password_file), _path(ca), value("server_name"), value("pin"), node, origin
    )  # fmt: skip


def password_of(path: Path, origin: str = "") -> str:
    """Return the password that a file holds. Raises Usage, which names where the file was given."""
    shown = f"{origin}: {path}" if origin else str(path)
    try:
        found = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{shown} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    return _some(found, shown)


def _some(password: str, origin: str) -> str:
    if not password:
        raise Usage(f"{origin} holds no password.")
    return password


def password(target: CommandTarget) -> str:
    """Return the password: the file's, the environment's, that of the first start, or what is typed."""
    from doorward.cli import terminal

    if target.password_file:
        return password_of(target.password_file, target.origin["password_file"])
    if given := os.environ.get("DOORWARD_PASSWORD"):
        return given
    if target.node and target.first_password:
        return _some(target.node.secret(_FIRST_PASSWORD), str(target.first_password))
    if not terminal.present():
        raise Unreachable(f"No password for {target.user}: set DOORWARD_PASSWORD or give --password-file.")
    return terminal.secret(f"Password of {target.user}")


def asks_nobody(target: CommandTarget) -> bool:
    """Whether there is a password without a question."""
    return bool(target.password_file or os.environ.get("DOORWARD_PASSWORD") or target.first_password)


def _checked(url: str, origin: str) -> str:
    try:
        return checked_url(url)
    except UnsendableError as why:
        raise Usage(f"{origin} {why}.") from None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
