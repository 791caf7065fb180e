"""The one-time code that the first settings of a node on a machine of its own come with: who can read it started the node."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

LENGTH = 20
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # RFC 4648, section 6


class SetupCode:
    """A code of 20 base32 characters, that is 100 random bits, in a file that only its owner can read. Raises OSError."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.text = "".join(secrets.choice(_BASE32) for _ in range(LENGTH))
        self.forget()
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(self.text + "\n")

    def is_equal(self, sent: str) -> bool:
        """Whether this is the code; takes the same time whatever was sent."""
        return hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), self.text.encode())

    def forget(self) -> None:
        """Remove the file."""
        self.file.unlink(missing_ok=True)
