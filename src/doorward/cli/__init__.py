"""The ``doorward`` command."""

from __future__ import annotations

import gc
import io
import sys


def main() -> None:
    """Run the command."""
    gc.disable()  # what is imported here is no garbage; the command itself enables it
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the locale may lack what somebody wrote into the configuration
    from doorward.cli.main import app

    app()


__all__ = ["main"]
