"""Files that a command makes: nothing is overwritten, nobody else may read them, and half a one is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from doorward.cli.failures import CommandError


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Make a file and give it to a block; removed if the block fails. Raises CommandError where it can't be made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
