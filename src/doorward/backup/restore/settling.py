"""The last step of a restore: files that have to change as well, such as the key of the channel between nodes.

They come as sealed records, written in one step with the revision, and are put in place after the commit or at the next start:
a kill in between ends in the old or the new state.
"""

from __future__ import annotations

import base64
from pathlib import Path

from doorward.host.files import DiskFiles, FileEntry, make_directory
from doorward.store.port import SEALED_FILE, Store
from doorward.transaction.secrets import SecretKeeping


def settle(state: Path, store: Store, secrets: SecretKeeping) -> None:
    """Put files in place that a restore brought; called after it, and at every start before anything reads them."""
    for record in store.records(SEALED_FILE):
        text = secrets.unseal(record.id, base64.b64decode(record.body["sealed"]))
        make_directory((state / record.id).parent)
        DiskFiles(state).write(f"/{record.id}", FileEntry(text.encode(), 0o600))
        store.remove_record(SEALED_FILE, record.id)
