"""From the options of a command to a login session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

import doorward.configuration
from doorward.cli.failures import Unreachable, Usage
from doorward.cli.identity import trust
from doorward.cli.options import ConnectionOptions
from doorward.cli.remote import Remote
from doorward.cli.target import CommandTarget, password, resolved
from doorward.client.blocking import Client
from doorward.client.carrier import SECONDS
from doorward.client.errors import ApiRefusedError, LoginRefusedError, UntrustedError
from doorward.client.trust import shown_pin
from doorward.tree.registry import Tree, discover


class CommandSession(Struct, frozen=True):
    """A login session, the declarations of the tree, and the configuration as the server has it."""

    client: Client
    tree: Tree
    remote: Remote
    target: CommandTarget


TOKEN = "DOORWARD_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with a token that stands for a login."""


def need_login(doing: str) -> None:
    """Raise Usage where a token stands for the login that something takes."""
    if os.environ.get(TOKEN):
        raise Usage(f"{doing} takes a login, no token: unset {TOKEN}.")


@contextmanager
def connected(connection: ConnectionOptions) -> Iterator[CommandSession]:
    """Log in for the time of a block."""
    target = resolved(connection)
    with opened(target) as client:
        if token := os.environ.get(TOKEN):
            _bear(client, token)
        else:
            _login(client, target)
        tree = discover(doorward.configuration)
        yield CommandSession(client, tree, Remote(client, tree), target)


def _bear(client: Client, token: str) -> None:
    """Have a token stand for the login. Raises Usage where it is none, Unreachable where it is not accepted."""
    if not (token.isascii() and token.isprintable() and token.startswith("dw_")):
        raise Usage(f"{TOKEN} holds no token: one begins with dw_.")
    client.bear(token)
    try:
        client.get("/api/authentication")
    except ApiRefusedError as refused:
        if refused.status == 401:  # noqa: PLR2004 - HTTP's number
            raise Unreachable(f"{client.url} does not accept the token in {TOKEN}, or not from here.") from None
        if refused.type != "Unauthorized":  # a token for other paths only
            raise


def _login(client: Client, target: CommandTarget) -> None:
    """Log in. Raises Unreachable, with a hint where the password tried may be an old one."""
    try:
        client.login(target.user, password(target))
    except LoginRefusedError as refused:
        why = f"{target.user} can't log in at {client.url}: {refused.message}"
        first = None if os.environ.get("DOORWARD_PASSWORD") or target.password_file else target.first_password
        if first is None:
            raise Unreachable(why) from None
        hint = (
            f"The password tried is that of the first start, in {first}; if it is another one now, set DOORWARD_PASSWORD or"
            " give --password-file."
        )
        raise Unreachable(why, hint) from None


@contextmanager
def opened(target: CommandTarget, *, seconds: float = SECONDS) -> Iterator[Client]:
    """Talk to a server for the time of a block, without a login. What can't be trusted is said with what could be compared."""
    try:
        with Client(target.url, trust(target), target.server_name, seconds) as client:
            yield client
    except UntrustedError as error:
        raise Unreachable(str(error), *_hints(target)) from None


def _hints(target: CommandTarget) -> Iterator[str]:
    if target.pin:
        return
    yield "Give the authority of the node with --ca (tls/ca.pem in its state directory), or its name with --server-name."
    if pin := shown_pin(target.url):
        yield f"What answers has the key {pin}. If `doorward status` on the node itself shows the same, give --pin {pin}"
