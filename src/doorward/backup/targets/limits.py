"""Limits of what a target may give back: never more than was ever written there, whatever a server says."""

from __future__ import annotations

MAX_MANIFEST = 32 << 10
"""Bytes of a manifest."""
MAX_ARCHIVE = 65 << 20
"""Bytes of an archive: those of the largest one in clear (``container.MAX_BYTES``), and what encryption adds."""
MAX_FILES = 100_000
"""Files that a directory may hold: what a backup every hour leaves in five years."""
MAX_LISTING = 16 << 20
"""Bytes of a list of files."""
MAX_PAGE = 1000
"""Objects that are listed at a time."""
MAX_KEY = 1024
"""Characters of the key of an object."""
