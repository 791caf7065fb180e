"""What a shell completes: paths from the declarations, and the names of objects where a server can be asked at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import typer

_SECONDS = 3.0
"""For how long a shell waits for names at most, by and large."""


def paths(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the paths, and the objects of the server, that begin as given."""
    return [*declared(incomplete), *_objects(context, incomplete)]


def declared(incomplete: str) -> list[tuple[str, str]]:
    """Return the paths that begin as given: from the declarations, without asking a server."""
    import doorward.configuration
    from doorward.cli.addresses import completions
    from doorward.tree.registry import discover

    return list(completions(discover(doorward.configuration), incomplete))


def _objects(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the objects of the collection that was typed already; none where nobody answers, or a password would be asked."""
    import doorward.configuration
    from doorward.cli.failures import CommandError
    from doorward.cli.naming import nameless
    from doorward.cli.options import ConnectionOptions
    from doorward.cli.remote import Remote
    from doorward.cli.session import opened
    from doorward.cli.target import asks_nobody, password, resolved
    from doorward.client.errors import ClientError
    from doorward.tree.nodes import Collection
    from doorward.tree.places import ROOT
    from doorward.tree.registry import discover

    tree = discover(doorward.configuration)
    typed = incomplete.removeprefix(ROOT).lstrip("/")
    prefix, stem = incomplete[: len(incomplete) - len(typed)], typed.rpartition("/")[0]
    endpoint = tree.endpoints.get(f"{ROOT}/{stem}")
    if endpoint is None or not isinstance(endpoint.node, Collection):
        return
    given = {name: context.params.get(name) for name in ("url", "user", "password_file", "ca", "server_name", "pin", "state")}
    try:
        target = resolved(ConnectionOptions(**given).over(context.find_object(ConnectionOptions) or ConnectionOptions()))
        if not asks_nobody(target):
            return
        with opened(target, seconds=_SECONDS) as client:
            client.login(target.user, password(target))
            remote = Remote(client, tree)
            began = time.monotonic()
            for key, body in remote.objects(endpoint.path).items():
                name = f"{stem}/{remote.name(endpoint.path, key)}"
                if name.startswith(typed) and time.monotonic() - began < _SECONDS:
                    yield f"{prefix}{name}", ", ".join(nameless(endpoint, body))
    except (CommandError, ClientError):
        return  # a shell has nowhere to say why
