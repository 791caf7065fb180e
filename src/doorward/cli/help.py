"""How the help of commands looks: ``-h``, no braces around arguments, no types behind switches, the manual below."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, ClassVar

import typer
import typer.main
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


class LazyGroup(PlainHelpGroup):
    """A group whose commands are imported when they are asked for: who runs one does not wait for the others."""

    where: ClassVar[Mapping[str, str]] = {}
    """Where each command is, as ``module:function``, or ``module:group`` for commands below it. In the order of the help."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _ImportedCommands(self.where)


class _ImportedCommands(MutableMapping[str, Any]):
    """The commands of a group by name, imported one by one."""

    def __init__(self, where: Mapping[str, str]) -> None:
        self._found: dict[str, Any] = dict(where)

    def __getitem__(self, name: str) -> Any:
        found = self._found[name]
        if isinstance(found, str):
            found = self._found[name] = _imported(name, found)
        return found

    def __setitem__(self, name: str, command: Any) -> None:
        self._found[name] = command

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _imported(name: str, where: str) -> Any:
    module, _, member = where.partition(":")
    found = getattr(importlib.import_module(module), member)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = group(name)
    register(alone, name, found)
    return typer.main.get_group(alone).commands[name]


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
