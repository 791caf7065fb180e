"""Typer's runner of commands in this process, which makes a command once instead of at every call."""

from __future__ import annotations

from functools import cache

from typer import main, testing

setattr(testing, "_get_command", cache(main.get_command))  # noqa: B010 - Typer imports it, and means it for itself

CliRunner = testing.CliRunner
