"""From the options of a command to a login session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import doorward.configuration
from doorward.cli.client import SECONDS, Client
from doorward.cli.failures import LoginRefused, Unreachable, Untrusted
from doorward.cli.identity import shown_pin, trust
from doorward.cli.options import Connection
from doorward.cli.remote import Remote
from doorward.cli.target import Target, password, resolved
from doorward.tree.registry import Tree, discover


@dataclass(frozen=True, slots=True)
class Session:
    """A login session, the declarations of the tree, and the configuration as the server has it."""

    client: Client
    tree: Tree
    remote: Remote
    target: Target


@contextmanager
def connected(connection: Connection) -> Iterator[Session]:
    """Log in for the time of a block."""
    target = resolved(connection)
    with opened(target) as client:
        try:
            client.login(target.user, password(target))
        except LoginRefused as refused:
            first = None if os.environ.get("DOORWARD_PASSWORD") or target.password_file else target.first_password
            if first is None:
                raise
            hint = (
                f"The password tried is that of the first start, in {first}; if it is another one now, set DOORWARD_PASSWORD or"
                " give --password-file."
            )
            raise LoginRefused(*refused.lines, hint) from None
        tree = discover(doorward.configuration)
        yield Session(client, tree, Remote(client, tree), target)


@contextmanager
def opened(target: Target, *, seconds: float = SECONDS) -> Iterator[Client]:
    """Talk to a server for the time of a block, without a login. What can't be trusted is said with what could be compared."""
    try:
        with Client(target.url, trust(target), target.server_name, seconds) as client:
            yield client
    except Untrusted as error:
        raise Unreachable(*error.lines, *_hints(target)) from None


def _hints(target: Target) -> Iterator[str]:
    if target.pin:
        return
    yield "Give the authority of the node with --ca (tls/ca.pem in its state directory), or its name with --server-name."
    if pin := shown_pin(target.url):
        yield f"What answers has the key {pin}. If `doorward status` on the node itself shows the same, give --pin {pin}"
