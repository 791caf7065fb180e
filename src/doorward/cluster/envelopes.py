"""The newest cluster revision as it is sent: put together, encoded and compressed once for all the nodes that ask."""

from __future__ import annotations

import threading
import time

from doorward.cluster.calls import CallRefusedError, EncodedAnswer, Since
from doorward.cluster.ledger import Ledger
from doorward.cluster.revisions import Envelope, Header

KEEP_SECONDS = 30.0
"""What nobody has asked for so long is dropped: it holds secrets."""


class Envelopes:
    """Every method may be called in any thread, and block. ``version`` is the release of Central Management."""

    def __init__(self, ledger: Ledger, version: str) -> None:
        self._ledger, self._version = ledger, version
        self._lock = threading.Lock()
        self._of: Header | None = None
        self._made: dict[Since | None, EncodedAnswer] = {}
        self._asked = 0.0

    def newest(self, since: Since | None) -> EncodedAnswer:
        """Return the newest revision, for a node that has an earlier one. Raises Refused."""
        with self._lock:  # who asks while it is made waits for it
            newest, self._asked = self._ledger.newest, time.monotonic()
            if newest is None:
                raise CallRefusedError(503, "starting")
            if self._of != newest.header:
                self._of, self._made = newest.header, {}
            if since not in self._made:
                headers = self._ledger.headers_after(since.epoch, since.number) if since else []
                headers = [one for one in headers if one.at <= newest.header.at]  # the ledger may be noting the next one
                secrets = self._ledger.secrets(newest.content)
                self._made[since] = EncodedAnswer.of(
                    Envelope(newest.header, headers, self._version, newest.author, newest.message, newest.content, secrets)
                )
            return self._made[since]

    def tidy(self) -> None:
        """Drop what nobody asks for any more."""
        with self._lock:
            if self._made and time.monotonic() - self._asked > KEEP_SECONDS:
                self._of, self._made = None, {}
