"""Follows a forwarded connection, an agent or an X display: bytes and digests of each direction, contents by policy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from doorward.proxy.ssh.taps.channel import ChannelLog, QuietTap
from doorward.recording.records import RecordKind


class ForwardTap(QuietTap):
    """One forwarded connection. ``ends`` are what the channel was opened with, ``keep``: its contents are recorded."""

    def __init__(self, log: ChannelLog, ends: Mapping[str, Any], *, keep: bool) -> None:
        self._log, self._ends, self._keep = log, ends, keep
        self._sizes = {True: 0, False: 0}
        self._digests = {True: hashlib.sha256(), False: hashlib.sha256()}

    def data(self, at: int, data: bytes, stream: int, *, down: bool) -> None:
        """Take data."""
        del stream
        self._sizes[down] += len(data)
        self._digests[down].update(data)
        if self._keep:
            self._log.content(at, RecordKind.FORWARD_DOWN if down else RecordKind.FORWARD_UP, data)

    def close(self, at: int) -> Mapping[str, Any]:
        """End: record the ends, bytes and digests."""
        content = {
            **self._ends,
            "down": self._sizes[True], "down_sha256": self._digests[True].hexdigest(),
            "up": self._sizes[False], "up_sha256": self._digests[False].hexdigest(),
        }  # fmt: skip
        self._log.facts(at, RecordKind.FORWARD, content)
        return {}
