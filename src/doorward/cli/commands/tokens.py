"""``doorward tokens``: what stands for a login in programs, such as Prometheus and pipelines."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from doorward.cli.failures import CommandError
from doorward.cli.help import group, register
from doorward.cli.options import ConnectionOptions, Output, command

app = group("tokens", "Tokens: what programs bring in place of a login. Commands of doorward take one from DOORWARD_TOKEN.")

_OWN, _ALL = "/api/user/tokens", "/api/tokens"
_HEAD = ["ID", "NAME", "ACCOUNT", "RIGHTS", "LAST USE", "EXPIRES", "LIMITED TO"]
_DOING = "What is done with tokens"


class TokenRights(StrEnum):
    """What a token may do."""

    read = "read"
    own = "own"


Account = Annotated[
    str | None, typer.Option("--of", metavar="ACCOUNT", help="Tokens of another account, for administrators.", show_default=False)
]
Everybody = Annotated[bool, typer.Option("--all", help="Tokens of all accounts, for administrators.")]
Days = Annotated[int, typer.Option("--days", min=1, max=366, help="Days until it ends.", metavar="N")]
What = Annotated[TokenRights, typer.Option("--rights", help="read: it changes nothing; own: whatever the account may do.")]
Paths = Annotated[
    list[str] | None,
    typer.Option("--path", metavar="PATH", help="Subtree of the API that it is limited to; may be repeated.", show_default=False),
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="CIDR", help="Network it may come from; may be repeated.", show_default=False),
]


@command
def list_(connection: ConnectionOptions, output: Output, account: Account = None, everybody: Everybody = False) -> None:  # noqa: FBT002 - Typer's option
    """List your tokens: what they are for, when they were last used, when they end. They themselves are shown nowhere."""
    from doorward.cli import render
    from doorward.cli.session import connected, need_login

    need_login(_DOING)
    path = f"{_ALL}?user={quote(account, safe='')}" if account else _ALL if everybody else _OWN
    with connected(connection) as session:
        found = [{"id": item["key"], **item["body"]} for item in session.client.get(path).content["items"]]
    rows = [_row(one) for one in found]
    render.emit(
        found, output.structured, render.table(_HEAD, rows) if rows else [render.OutputLine("There are no tokens.", "dim")]
    )


def _row(token: dict[str, Any]) -> list[str]:
    from doorward.cli.render import local_time

    used = local_time(token["last_used"]) if token["last_used"] else "never"
    limits = " ".join([*token["paths"], *token["networks"]])
    return [token["id"], token["name"], token["user"], token["rights"], used, local_time(token["expires"]), limits]


@command
def create(  # noqa: PLR0913, PLR0917 - the options of a command
    connection: ConnectionOptions,
    output: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.", show_default=False)],
    days: Days = 90,
    rights: What = TokenRights.read,
    paths: Paths = None,
    networks: Networks = None,
) -> None:
    """Make a token for your account. It is shown once, here; it never has more than the account has at that moment.

    doorward tokens create prometheus --path /api/metrics --network 192.0.2.10/32 --days 366
    """
    from doorward.cli import render
    from doorward.cli.session import connected, need_login

    need_login(_DOING)
    wanted = {
        "name": name, "expires_days": days, "rights": rights.value, "paths": paths or [], "networks": networks or [],
    }  # fmt: skip
    with connected(connection) as session:
        answer = session.client.write("POST", _OWN, wanted, about="The token").content
    body = answer["body"]
    typer.echo(f"Kept nowhere: note it now. It ends {render.local_time(body['expires'])}; its id is {answer['key']}.", err=True)
    render.emit({"id": answer["key"], **body}, output.structured, [render.OutputLine(body["token"])])


@command
def delete(
    connection: ConnectionOptions,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `list` shows them.", show_default=False)],
) -> None:
    """End tokens, at once: yours, or as an administrator those of others."""
    from doorward.cli.session import connected, need_login

    need_login(_DOING)
    with connected(connection) as session:
        own = {item["key"] for item in session.client.get(_OWN).content["items"]}
        for name in ids:
            if "/" in name or not name:
                raise CommandError(f"{name} is no id of a token.")
            session.client.write("DELETE", f"{_OWN if name in own else _ALL}/{name}", about=f"Token {name}")
            typer.echo(f"Token {name} has ended.")


_COMMANDS: dict[str, Callable[..., None]] = {"list": list_, "create": create, "delete": delete}
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)
