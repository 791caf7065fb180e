"""The ``doorward`` command."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command."""
    gc.disable()  # what is imported here is no garbage; the command itself enables it
    from doorward.cli.main import app

    app()


__all__ = ["main"]
