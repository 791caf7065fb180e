"""The ``doorward`` command: ``serve``, ``verify`` and ``reference`` here, those that talk to a server in ``commands``."""

from __future__ import annotations

import gc
import inspect
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from doorward import __version__
from doorward.cli import lean
from doorward.cli.commands import (
    apply,
    archive,
    backup,
    change,
    clock,
    cluster,
    drift,
    edit,
    explain,
    get,
    history,
    host_keys,
    passwd,
    proposals,
    quickstart,
    restore,
    sessions,
    setup,
    staged,
    status,
    tokens,
    trail,
)
from doorward.cli.failures import CommandError
from doorward.cli.help import CONTEXT, MANUAL, PlainHelpGroup, group, register
from doorward.cli.options import ConnectionOptions, command, spread
from doorward.cli.state import SYSTEM, sandbox_state

app = group("doorward")


class SetupMode(StrEnum):
    """Who gives a fresh node its first settings."""

    wizard = "wizard"


class HostMode(StrEnum):
    """Which host the settings take effect on."""

    sandbox = "sandbox"
    system = "system"


_LISTEN = {HostMode.sandbox: "127.0.0.1:8443", HostMode.system: "0.0.0.0:443"}
"""Where the first start listens unless it is told."""

State = Annotated[Path | None, typer.Option(help="Directory of everything that is kept.", show_default=False, readable=False)]
On = Annotated[HostMode, typer.Option("--host", help="sandbox: a directory and real daemons as children; system: this machine.")]


def state_directory(given: Path | None, machine: HostMode) -> Path:
    """Return the state directory: the given one, else that of the host kind."""
    if given is not None:
        return given.absolute()
    if machine is HostMode.system:
        return SYSTEM
    return sandbox_state()


def address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; IPv6 addresses stand in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise typer.BadParameter("must be HOST:PORT, for example 127.0.0.1:8443 or [::1]:8443", param_hint="--listen")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callback
    if wanted:
        typer.echo(f"doorward {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the release.")]


def _doorward(context: typer.Context, version: bool = False, **connection: Any) -> None:  # noqa: FBT001, FBT002 - Typer's
    """A self-hosted privileged-session appliance, managed through a transactional REST API.

    The options of the connection may stand here or after the command. Manual: docs/operations.md.
    """
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
app.callback(cls=PlainHelpGroup, context_settings=CONTEXT, epilog=MANUAL)(_doorward)


def _give_up_root(state: Path, *, serves: bool) -> None:
    """Go on as another account, with a helper that stays root, where this process is root: then this does not return."""
    from doorward.cli import splitting

    if not splitting.is_needed():
        return
    split = splitting.serve_split if serves else splitting.look_split
    try:
        split(state, sys.argv[1:])
    except splitting.SplitError as why:
        typer.echo(f"doorward can't start: {why}", err=True)
        raise typer.Exit(1) from None


def serve(
    state: State = None,
    listen: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT to listen on. Counts at the first start; from then on local_services/admin_web does."
            " Default: 127.0.0.1:8443, for the system host 0.0.0.0:443.",
            show_default=False,
        ),
    ] = None,
    host: On = HostMode.sandbox,
    setup: Annotated[
        SetupMode | None, typer.Option(help="wizard: the first start waits for POST /api/setup.", show_default=False)
    ] = None,
    cluster_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="TCP port of the channel between nodes, the same on all of them. Default: as it was, at first 7443.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the appliance until SIGTERM.

    The first start makes the account admin: its password is taken from DOORWARD_ADMIN_PASSWORD, or generated and shown once. With
    --setup wizard it comes with the first settings, and nobody can log in before.
    """
    bind_host, port = address(listen or _LISTEN[host])
    if host is HostMode.system:
        _give_up_root(state_directory(state, host), serves=True)
    with lean.start():
        from doorward.appliance import Options, StartError, run
        from doorward.cli.logging import configure

        configure()
        password = os.environ.pop("DOORWARD_ADMIN_PASSWORD", None)
        options = Options(
            state_directory(state, host), bind_host, port, host.value, password or None,
            listen_given=listen is not None, wizard=setup is not None, cluster_port=cluster_port,
        )  # fmt: skip
        try:
            run(options, typer.echo, partial(typer.echo, err=True))
        except StartError as why:
            typer.echo(f"doorward can't start: {why}", err=True)
            raise typer.Exit(1) from None


@command
def verify(
    state: State = None,
    host: On = HostMode.sandbox,
    anchor: Annotated[
        Path | None,
        typer.Option(help="File with signed heads kept elsewhere: the history must go on from them.", show_default=False),
    ] = None,
) -> None:
    """Check the hash chain of the history, and the host against the running revision.

    With --anchor also that nothing was cut off or put back: the file is an answer of /api/revisions/head, a manifest of a
    backup, or lines that a syslog receiver kept.
    """
    from doorward.cli.verify import findings

    if host is HostMode.system and (state_directory(state, host) / "doorward.db").exists():
        _give_up_root(state_directory(state, host), serves=False)
    found = findings(state_directory(state, host), host.value, anchor)
    for finding in found:
        typer.echo(finding)
    if found:
        raise typer.Exit(1)
    typer.echo("The history is whole and the host is as the running revision says.")


def rotate_key(state: State = None, host: On = HostMode.sandbox) -> None:
    """Change the key under which secrets lie on the disk. The server of the state directory must not run.

    Everything is sealed anew under a new key, and the old one is destroyed. A kill at any moment leaves one whole key.
    """
    from doorward.cli.rotate import RotationError, rotated

    try:
        done = rotated(state_directory(state, host))
    except RotationError as why:
        typer.echo(f"The data key was not changed: {why}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"The data key is a new one. {done.secrets} secrets and {done.revisions} revisions are under it.")


@command
def reset_password(
    state: State = None,
    host: On = HostMode.sandbox,
    new_password_file: passwd.NewPassword = None,
) -> None:
    """Give admin a new password, on the machine itself, whether its server runs or not.

    For whoever lost the password: as the owner of the state directory, or as root. It is asked for, or read from a file. All
    login sessions of admin end.
    """
    from doorward.appliance.local_requests import ResetPassword
    from doorward.cli.reset import become_owner, reset
    from doorward.transaction.reset import NotResetError

    directory = state_directory(state, host)
    text = passwd.new_password("admin", new_password_file)
    try:
        become_owner(directory)
        number = reset(directory, host.value, ResetPassword(text))
    except NotResetError as why:
        raise CommandError(f"The password was not changed: {why}") from None
    (directory / "initial-admin-password").unlink(missing_ok=True)
    typer.echo(f"The password of admin is a new one, with revision {number}.")


@command
def reset_approval(state: State = None, host: On = HostMode.sandbox) -> None:
    """Switch the approval of changes off, on the machine itself, whether its server runs or not.

    For where nobody is left who could accept: as the owner of the state directory, or as root. It is a revision of its own, and
    everybody who gets alerts is told.
    """
    from doorward.appliance.local_requests import ResetApproval
    from doorward.cli.reset import become_owner, reset
    from doorward.transaction.reset import NotResetError

    directory = state_directory(state, host)
    try:
        become_owner(directory)
        number = reset(directory, host.value, ResetApproval())
    except NotResetError as why:
        raise CommandError(f"Nothing was changed: {why}") from None
    typer.echo(f"Changes take effect without approval, since revision {number}.")


def workers(  # noqa: PLR0913, PLR0917 - the options of a command
    state: State = None,
    host: On = HostMode.sandbox,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many. Default: as many as cores.", show_default=False)
    ] = None,
    user: Annotated[str | None, typer.Option(help="The account to run as, where started as root.", show_default=False)] = None,
    control_user: Annotated[str | None, typer.Option(help="The account of the server, if another.", show_default=False)] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Go on in the background once the workers run.")] = False,  # noqa: FBT002
    stop: Annotated[bool, typer.Option("--stop", help="End the workers and all sessions.")] = False,  # noqa: FBT002
) -> None:
    """Run the processes that carry and record SSH sessions, until SIGTERM.

    They are no children of the server: it may end, be killed or be upgraded while sessions go on.
    """
    options = {"--workers": workers, "--user": user, "--control-user": control_user}
    arguments = [f"{name}={value}" for name, value in options.items() if value is not None]
    arguments += [name for name, given in (("--detach", detach), ("--stop", stop)) if given]
    # A process of its own: this one has imported the command line, and a worker is to hold nothing that it does not need.
    command = [sys.executable, "-m", "doorward.proxy.supervisor", f"--state={state_directory(state, host)}", *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - no shell


@command
def reference() -> None:
    """Print the manual of every configuration node, in Markdown."""
    from doorward.cli.reference import manual

    typer.echo(manual(), nl=False)


_COMMANDS: dict[str, Callable[..., None]] = {
    "serve": serve,
    "verify": verify,
    "rotate-key": rotate_key,
    "reset-password": reset_password,
    "reset-approval": reset_approval,
    "workers": workers,
    "reference": reference,
    "status": status.status,
    "time": clock.time_,
    "get": get.get,
    "explain": explain.explain,
    "set": change.set_,
    "add": change.add,
    "remove": change.remove,
    "edit": edit.edit,
    "apply": apply.apply,
    "diff": history.diff,
    "plan": staged.plan,
    "commit": staged.commit,
    "trial": status.trial,
    "confirm": status.confirm,
    "discard": staged.discard,
    "drift": drift.drift,
    "adopt": drift.adopt,
    "history": history.history,
    "blame": history.blame,
    "rollback": history.rollback,
    "passwd": passwd.passwd,
    "setup": setup.setup,
    "export": archive.export,
    "restore": restore.restore,
}
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)


app.add_typer(change.stage)
app.add_typer(backup.app)
app.add_typer(cluster.app)
app.add_typer(proposals.app)
app.add_typer(quickstart.app)
app.add_typer(host_keys.app)
app.add_typer(sessions.app)
app.add_typer(tokens.app)
app.add_typer(trail.app)
