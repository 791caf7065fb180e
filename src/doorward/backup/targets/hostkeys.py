"""The host keys that an SSH server shows, for a person to compare. Nothing is stored or trusted here."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from doorward.backup.failure import BackupError, on_this_node
from doorward.backup.targets.attempt import TargetAttempt, reach
from doorward.backup.targets.programs import need, run
from doorward.backup.targets.ssh import fingerprint, mismatch
from doorward.host import unprivileged

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
"""Types that a policy can pin, the best first."""
_SECONDS = 30.0
_SCAN_SECONDS = 10


class ScannedHostKeys(Struct, frozen=True):
    """What a server shows: keys as ``type base64``. None when ``code`` and ``message`` say why."""

    keys: tuple[str, ...] = ()
    code: str | None = None
    message: str | None = None

    def body(self) -> dict[str, object]:
        """Return it as on the wire (backup contract, section 10.8)."""
        shown = [{"fingerprint": fingerprint(key), "public_key": key} for key in self.keys]
        return {"code": self.code, "host_keys": shown, "message": self.message}


def host_keys(server: str, port: int, *, workdir: Path, stop: threading.Event | None = None) -> ScannedHostKeys:
    """Ask a server for its host keys. Blocks, half a minute at most; what goes wrong is in the answer."""
    label = f"ssh://[{server}]:{port}" if ":" in server else f"ssh://{server}:{port}"
    deadline = time.monotonic() + _SECONDS
    attempt = TargetAttempt("", False, stop or threading.Event(), workdir, deadline, _SECONDS, label)  # noqa: FBT003 - of no node
    try:
        need(attempt, "ssh-keyscan")
        address = reach(attempt, server, port)
        with on_this_node():
            keys = scan(attempt, address, port)
        if not keys:
            raise attempt.failed("protocol_unavailable", "Reading the host keys", "the server showed none, it may not speak SSH")
    except BackupError as failure:
        return ScannedHostKeys((), failure.code, failure.message)
    return ScannedHostKeys(tuple(keys))


def scan(attempt: TargetAttempt, server: str, port: int) -> list[str]:
    """Return the host keys of a server, by an address that answers. Raises BackupError only when the attempt is over.

    Of a name with several addresses ssh-keyscan tries the first one only.
    """
    attempt.workdir.mkdir(parents=True, exist_ok=True)
    command = ["ssh-keyscan", "-T", str(_SCAN_SECONDS), "-p", str(port), "-t", "ed25519,ecdsa,rsa", "--", server]
    with tempfile.TemporaryDirectory(prefix="target-", dir=attempt.workdir) as directory:
        unprivileged.give(Path(directory))
        said = run(attempt, "Reading the host keys", command, Path(directory)).out
    found = {" ".join(line.split()[1:3]) for line in said.splitlines() if not line.startswith("#") and len(line.split()) > 2}  # noqa: PLR2004 - host, type and key
    return sorted((key for key in found if key.split()[0] in KINDS), key=lambda key: KINDS.index(key.split()[0]))


def identify(attempt: TargetAttempt, server: str, port: int, pinned: Sequence[str]) -> None:
    """Raise ``host_key_mismatch`` when a server shows none of the pinned keys. One that shows nothing passes: ssh will tell."""
    shown = scan(attempt, server, port)
    if shown and not set(shown) & set(pinned):
        kinds = {key.split()[0] for key in pinned}
        telling = [key for key in shown if key.split()[0] in kinds] or shown
        words = mismatch(" and ".join(map(fingerprint, telling)), pinned)
        raise attempt.failed("host_key_mismatch", "Comparing the host key", words)
