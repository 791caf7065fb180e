"""How a session becomes a row: the columns that are searched, the body that holds all of it, and the checksum of that."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from doorward.sessions.catalogue.rows import SessionRow

_SEPARATOR: Final = "\x1f"
"""Stands around each group of a user."""
_PEER = ("ip", "port", "name")

encode = msgspec.msgpack.Encoder().encode
decode_row = msgspec.msgpack.Decoder(SessionRow).decode


def sum_of(number: int, body: bytes) -> str:
    """Return the checksum of the body of a session by its id, 16 hex digits. It finds damage and bodies in the wrong place."""
    return hashlib.blake2b(b"%d %b" % (number, body), digest_size=8).hexdigest()


def columns_of(row: SessionRow) -> dict[str, Any]:
    """Return what the columns of a row hold."""
    return {
        "key": row.key,
        "number": row.number,
        "session_id": row.session_id,
        "protocol": row.protocol,
        "node": row.node,
        "policy": row.policy,
        "policy_key": row.policy_key,
        "channel_policy": row.channel_policy,
        **{f"client_{part}": getattr(row.client, part) for part in _PEER},
        **{f"target_{part}": getattr(row.target, part) for part in _PEER},
        **{f"server_{part}": getattr(row.server, part) for part in _PEER},
        **{f"local_{part}": getattr(row.server_local, part) for part in _PEER},
        "user": row.user,
        "gateway_user": row.gateway_user,
        "server_user": row.server_user,
        "groups": "".join(f"{_SEPARATOR}{group.replace(_SEPARATOR, '')}" for group in row.gateway_groups) + _SEPARATOR,
        "auth_method": row.auth_method,
        "began": row.began,
        "ended": row.ended,
        "duration": None if row.ended is None else (row.ended - row.began) // 1000,
        "verdict": row.verdict,
        "reason": row.reason,
        "index_status": row.index_status,
        "is_archived": int(row.is_archived),
        "has_accepted_channel": int(row.has_accepted_channel),
    }
