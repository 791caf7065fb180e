"""Runs the ``doorward`` command as on a machine where chrony is not installed."""

from __future__ import annotations

from doorward.cli import main
from doorward.host import build, supervise

if __name__ == "__main__":
    find = supervise.find_program
    setattr(build, "find_program", lambda name: None if name.startswith("chrony") else find(name))  # noqa: B010 - an import of it
    main()
