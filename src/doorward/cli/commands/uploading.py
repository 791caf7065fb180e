"""Sending an archive to the server."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from doorward.cli.failures import Usage

if TYPE_CHECKING:
    from doorward.client.blocking import Client

_UPLOAD = "/api/upload/backup"
_MAX_BYTES = 64 << 20
_STANDARD_INPUT = Path("-")


def sent(client: Client, file: Path) -> str:
    """Upload an archive, ``-`` being the standard input, which is kept in memory; return the id of the upload. Raises Usage."""
    try:
        if file != _STANDARD_INPUT:
            with file.open("rb") as content:
                return str(client.upload(_UPLOAD, content).content["key"])
        with tempfile.SpooledTemporaryFile(max_size=_MAX_BYTES + 2) as content:
            content.write(sys.stdin.buffer.read(_MAX_BYTES + 1))
            if not content.tell():
                raise Usage("Nothing came on the standard input.")
            content.seek(0)
            return str(client.upload(_UPLOAD, content).content["key"])
    except OSError as error:
        raise Usage(f"{file} can't be read: {error.strerror}.") from None
