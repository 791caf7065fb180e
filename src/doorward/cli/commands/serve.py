"""``doorward serve`` and ``workers``: the processes that run until SIGTERM."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from doorward.cli import lean
from doorward.cli.commands.arguments import CatalogueOption, CataloguePasswordOption, HostOption, StateOption
from doorward.cli.state import HostMode, origin, state_directory

_LISTEN = {HostMode.sandbox: "127.0.0.1:8443", HostMode.system: "0.0.0.0:443"}
"""Where the first start listens unless it is told."""


class SetupMode(StrEnum):
    """Who gives a fresh node its first settings."""

    wizard = "wizard"


def address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; IPv6 addresses stand in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise typer.BadParameter("must be HOST:PORT, for example 127.0.0.1:8443 or [::1]:8443", param_hint="--listen")
    return host.removeprefix("[").removesuffix("]"), int(port)


def serve(  # noqa: PLR0913, PLR0917 - the options of a command
    state: StateOption = None,
    listen: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT to listen on. Counts at the first start; from then on local_services/admin_web does."
            " Default: 127.0.0.1:8443, for the system host 0.0.0.0:443.",
            show_default=False,
        ),
    ] = None,
    host: HostOption = HostMode.sandbox,
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
    catalogue: CatalogueOption = None,
    catalogue_password_file: CataloguePasswordOption = None,
) -> None:
    """Run the appliance until SIGTERM.

    The first start makes the account admin: its password is taken from DOORWARD_ADMIN_PASSWORD, or generated and shown once. With
    --setup wizard it comes with the first settings, and nobody can log in before.
    """
    bind_host, port = address(listen or _LISTEN[host])
    if host is HostMode.system:
        from doorward.cli.splitting import give_up_root

        give_up_root(state_directory(state, host), serves=True)
    with lean.start():
        from doorward.appliance import Options, StartError, run
        from doorward.cli.logging import LogLevelError, configure
        from doorward.sessions.catalogue.address import AddressError, parsed

        password = os.environ.pop("DOORWARD_ADMIN_PASSWORD", None)
        try:
            configure()
            options = Options(
                state_directory(state, host), bind_host, port, host.value, password or None,
                listen_given=listen is not None, wizard=setup is not None, cluster_port=cluster_port,
                catalogue=parsed(catalogue, catalogue_password_file) if catalogue else None,
            )  # fmt: skip
            run(options, typer.echo, partial(typer.echo, err=True))
        except (AddressError, LogLevelError) as why:
            typer.echo(f"doorward can't start: {why}.", err=True)
            raise typer.Exit(1) from None
        except StartError as why:
            typer.echo(f"doorward can't start: {origin(state)}{why}", err=True)
            raise typer.Exit(why.code) from None


def workers(  # noqa: PLR0913, PLR0917 - the options of a command
    state: StateOption = None,
    host: HostOption = HostMode.sandbox,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many. Default: as many as cores.", show_default=False)
    ] = None,
    user: Annotated[str | None, typer.Option(help="The account to run as, where started as root.", show_default=False)] = None,
    control_user: Annotated[str | None, typer.Option(help="The account of the server, if another.", show_default=False)] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Go on in the background once the workers run.")] = False,  # noqa: FBT002 - Typer's option
    stop: Annotated[bool, typer.Option("--stop", help="End the workers and all sessions.")] = False,  # noqa: FBT002 - Typer's option
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
