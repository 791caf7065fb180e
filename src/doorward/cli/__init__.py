"""The ``doorward`` command."""

from doorward.cli.main import main

__all__ = ["main"]
