"""The beginning of a trail: what stands in its head, and the keys of what follows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from doorward.proxy.messages import Begin
from doorward.recording.keys import ContentKeys, fresh_key, in_clear, wrapped
from doorward.recording.writer import TrailWriter


def trail_writer(begin: Begin, node: str, release: str, keyframes: Callable[[], Iterable[tuple[int, bytes]]]) -> TrailWriter:
    """Return the writer of a new trail, with keys that nobody had before. Computes for a while; raises KeyUnavailableError."""
    audit, screen, keystrokes = begin.rules.audit, fresh_key(), fresh_key()
    certificates = audit.screen_certificates
    if certificates:
        blocks = {
            "screen": wrapped(screen, certificates),
            "keystrokes": wrapped(keystrokes, audit.keystroke_certificates or certificates),
        }
    else:
        blocks = {"screen": in_clear(screen), "keystrokes": in_clear(keystrokes)}
    return TrailWriter(_header(begin, node, release), blocks, ContentKeys(screen, keystrokes), keyframes)


def _header(begin: Begin, node: str, release: str) -> dict[str, Any]:
    rules = begin.rules
    return {
        "channel_policy": rules.channel_policy, "client": list(begin.client), "audit_policy": rules.audit.policy,
        "connection_policy": rules.policy, "connection_policy_key": rules.policy_key, "gateway": list(begin.local),
        "node": node, "protocol": "SSH", "release": release, "revision": rules.revision,
        "session": f"svc/{begin.session}/{rules.policy}:{begin.number}", "signed": rules.audit.signed,
        "started": dt.datetime.fromtimestamp(begin.began, dt.UTC).isoformat(timespec="milliseconds"),
    }  # fmt: skip
