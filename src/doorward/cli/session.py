"""From the options of a command to a login session."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

import doorward.configuration
from doorward.cli.client import Client, checked_url, on_this_machine
from doorward.cli.failures import LoginRefused, Unreachable, Usage
from doorward.cli.options import Connection
from doorward.cli.remote import Remote
from doorward.cli.state import local_file
from doorward.host.tls import client_context
from doorward.tree.registry import Tree, discover

_FIRST_ACCOUNT = "admin"


@dataclass(frozen=True, slots=True)
class Session:
    """A login session, the declarations of the tree, and the configuration as the server has it."""

    client: Client
    tree: Tree
    remote: Remote


def terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def trust(ca: Path | None) -> ssl.SSLContext:
    """Return what the server's certificate is checked with. Raises Usage."""
    own = local_file("tls/ca.pem")
    try:
        context = client_context(ca)
        if ca is None and own is not None:
            context.load_verify_locations(own)
    except (OSError, ssl.SSLError) as error:
        raise Usage(f"{ca or own} holds no certificates: {error.strerror or error}.") from None
    return context


def password_of(path: Path) -> str:
    """Return the password that a file holds. Raises Usage."""
    try:
        found = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    if not found:
        raise Usage(f"{path} holds no password.")
    return found


def _first_password(connection: Connection) -> Path | None:
    """Return the file with the password of the first start, where it is the one to try."""
    if connection.user == _FIRST_ACCOUNT and on_this_machine(connection.url):
        return local_file("initial-admin-password")
    return None


def password(connection: Connection) -> str:
    """Return the password: the environment's, the file's, that of the first start, or what is typed."""
    if given := os.environ.get("DOORWARD_PASSWORD"):
        return given
    if path := connection.password_file or _first_password(connection):
        return password_of(path)
    if not sys.stdin.isatty():
        raise Unreachable(f"No password for {connection.user}: set DOORWARD_PASSWORD or give --password-file.")
    typed: str = typer.prompt(f"Password of {connection.user}", hide_input=True, err=True)
    return typed


@contextmanager
def connected(connection: Connection) -> Iterator[Session]:
    """Log in for the time of a block."""
    checked_url(connection.url)
    with Client(connection.url, trust(connection.ca)) as client:
        try:
            client.login(connection.user, password(connection))
        except LoginRefused as refused:
            first = None if os.environ.get("DOORWARD_PASSWORD") or connection.password_file else _first_password(connection)
            if first is None:
                raise
            hint = f"The password tried is that of the first start, in {first}; if it is another one now, set DOORWARD_PASSWORD."
            raise LoginRefused(*refused.lines, hint) from None
        tree = discover(doorward.configuration)
        yield Session(client, tree, Remote(client, tree))
