"""How the help of commands looks: ``-h``, no braces around arguments, no types behind switches, the manual below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

MANUAL = "Manual: docs/operations.md. Options for the connection: doorward --help"
CONTEXT = {"help_option_names": ["-h", "--help"]}


class Command(TyperCommand):
    """A command with plain help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line as manuals write them."""
        return [piece.removeprefix("{").removesuffix("}") for piece in super().collect_usage_pieces(ctx)]

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters; switches show no type."""
        return _plain(super().get_params(ctx))


class PlainHelpGroup(TyperGroup):
    """A group of commands with plain help."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters; switches show no type."""
        return _plain(super().get_params(ctx))


def _plain(parameters: Any) -> Any:
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    return parameters


def group(name: str, about: str = "") -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(
        name=name, cls=PlainHelpGroup, help=about or None, no_args_is_help=True, pretty_exceptions_enable=False,
        context_settings=CONTEXT, epilog=MANUAL,
    )  # fmt: skip


def register(app: typer.Typer, name: str, function: Callable[..., None], **options: Any) -> None:
    """Make a function a command of a group."""
    app.command(name, cls=Command, context_settings=CONTEXT, epilog=MANUAL, **options)(function)
