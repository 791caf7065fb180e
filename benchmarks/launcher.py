"""Runs Doorward over plain HTTP on a free port of 127.0.0.1, which the command line does not offer: for measurements only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from doorward.appliance import Options, run
from doorward.cli.logging import configure


def main() -> None:
    """Serve the state directory that is named by the only argument."""
    configure()
    password = os.environ.pop("DOORWARD_ADMIN_PASSWORD", None)
    options = Options(Path(sys.argv[1]), port=0, admin_password=password, plain_http=True)
    run(options, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
