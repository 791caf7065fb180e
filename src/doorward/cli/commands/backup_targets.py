"""``doorward backup test`` and ``host-keys``: a target looked at before it is relied on."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.failures import CommandError, Usage
from doorward.cli.options import ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.session import CommandSession

_BACKUP = "/api/backup"
_POLICIES = "/api/configuration/policies/backup_policies"
_SELECTED = "/api/configuration/management/system_backup"

PolicyArgument = Annotated[
    str,
    typer.Argument(help="Name or key of a backup policy; without it the selected one.", metavar="POLICY", show_default=False),
]
ServerArgument = Annotated[str, typer.Argument(help="Name or address of the SSH server.", metavar="SERVER", show_default=False)]
Port = Annotated[int, typer.Option(help="Its port.", min=1, max=65535)]


@command
def try_target(connection: ConnectionOptions, output: Output, policy: PolicyArgument = "") -> None:
    """Try the target of a policy: log in, write a small file, read it back, delete it."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        order = {"backup_policy": _key(session, policy)}
        tried = session.client.write("POST", f"{_BACKUP}/target_tests", order).content["body"]
    rows = [[step["step"], step["result"], f"{step['milliseconds']} ms"] for step in tried["steps"]]
    render.emit(tried, output.structured, render.table(["STEP", "RESULT", "TIME"], rows))
    if tried["result"] != "ok":
        raise CommandError(f"{tried['code']}: {tried['message']}")


@command
def host_keys(connection: ConnectionOptions, output: Output, server: ServerArgument, port: Port = 22) -> None:
    """Show the host keys of an SSH server, each behind its fingerprint. Nothing is trusted by that: compare them first."""
    from doorward.cli import render
    from doorward.cli.session import connected

    order = {"port": port, "server": {"selection": "ip" if _is_address(server) else "fqdn", "value": server}}
    with connected(connection) as session:
        found = session.client.write("POST", f"{_BACKUP}/host_keys", order).content["body"]
    if found["code"]:
        raise CommandError(f"{found['code']}: {found['message']}")
    shown = (render.OutputLine(f"{key['fingerprint']} {key['public_key']}") for key in found["host_keys"])
    render.emit(found["host_keys"], output.structured, shown)


def _key(session: CommandSession, policy: str) -> str:
    """Return the key of a policy by its name or key. Raises Usage."""
    if not policy:
        selected: dict[str, Any] | None = session.client.body(_SELECTED)["backup_policy"]
        if selected is None:
            raise Usage("No backup policy is selected; name one.")
        return str(selected["key"])
    objects = session.remote.objects(_POLICIES)
    found = [key for key, body in objects.items() if policy in {key, body["name"]}]
    if not found:
        raise Usage(f"There is no backup policy {policy}.")
    return found[0]


def _is_address(server: str) -> bool:
    try:
        ipaddress.ip_address(server)
    except ValueError:
        return False
    return True
