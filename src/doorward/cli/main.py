"""The ``doorward`` command: its own options, and where its commands are."""

from __future__ import annotations

import gc
import inspect
from typing import Annotated, Any

import typer

from doorward import __version__
from doorward.cli.help import CONTEXT, MANUAL, LazyGroup, group
from doorward.cli.options import ConnectionOptions, spread

app = group(
    "doorward",
    "A self-hosted privileged-session appliance, managed through a transactional REST API.\n\n"
    "The options of the connection may stand here or after the command.",
)


class Doorward(LazyGroup):
    """All commands, in the order of the help."""

    where = {
        "serve": "doorward.cli.commands.serve:serve",
        "verify": "doorward.cli.commands.local:verify",
        "rotate-key": "doorward.cli.commands.local:rotate_key",
        "move-sessions": "doorward.cli.commands.local:move_sessions",
        "adopt-sessions": "doorward.cli.commands.local:adopt_sessions",
        "reset-password": "doorward.cli.commands.local:reset_password",
        "reset-approval": "doorward.cli.commands.local:reset_approval",
        "workers": "doorward.cli.commands.serve:workers",
        "reference": "doorward.cli.commands.local:reference",
        "status": "doorward.cli.commands.status:status",
        "time": "doorward.cli.commands.clock:time_",
        "get": "doorward.cli.commands.get:get",
        "explain": "doorward.cli.commands.explain:explain",
        "set": "doorward.cli.commands.change:set_",
        "add": "doorward.cli.commands.change:add",
        "remove": "doorward.cli.commands.change:remove",
        "edit": "doorward.cli.commands.edit:edit",
        "apply": "doorward.cli.commands.apply:apply",
        "diff": "doorward.cli.commands.history:diff",
        "plan": "doorward.cli.commands.staged:plan",
        "commit": "doorward.cli.commands.staged:commit",
        "trial": "doorward.cli.commands.status:trial",
        "confirm": "doorward.cli.commands.status:confirm",
        "discard": "doorward.cli.commands.staged:discard",
        "drift": "doorward.cli.commands.drift:drift",
        "adopt": "doorward.cli.commands.drift:adopt",
        "history": "doorward.cli.commands.history:history",
        "blame": "doorward.cli.commands.history:blame",
        "rollback": "doorward.cli.commands.history:rollback",
        "passwd": "doorward.cli.commands.passwd:passwd",
        "setup": "doorward.cli.commands.setup:setup",
        "export": "doorward.cli.commands.archive:export",
        "restore": "doorward.cli.commands.restore:restore",
        "stage": "doorward.cli.commands.change:stage",
        "backup": "doorward.cli.commands.backup:app",
        "cluster": "doorward.cli.commands.cluster:app",
        "proposals": "doorward.cli.commands.proposals:app",
        "quickstart": "doorward.cli.commands.quickstart:app",
        "host-keys": "doorward.cli.commands.host_keys:app",
        "sessions": "doorward.cli.commands.sessions:app",
        "tokens": "doorward.cli.commands.tokens:app",
        "trail": "doorward.cli.commands.trail:app",
    }


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callback
    if wanted:
        typer.echo(f"doorward {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the release.")]


def _doorward(context: typer.Context, version: bool = False, **connection: Any) -> None:  # noqa: FBT001, FBT002 - Typer's
    """Keep the options of the connection for the command."""
    del version
    gc.enable()
    context.obj = ConnectionOptions(**connection)


_OWN = [
    inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
    inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Version),
    *spread(ConnectionOptions),
]
_doorward.__signature__ = inspect.Signature(_OWN)  # type: ignore[attr-defined]
_doorward.__annotations__ = {parameter.name: parameter.annotation for parameter in _OWN}
app.callback(cls=Doorward, context_settings=CONTEXT, epilog=MANUAL)(_doorward)
