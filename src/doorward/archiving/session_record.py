"""What lies beside a recording in a bucket: the row of its session, signed by the node that recorded it.

With it another node finds the recording when the one that made it is gone with all that it knew. Whoever can write to the bucket
can put anything there, so nothing of a record counts before its signature is that of a node whose certificate is pinned.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import structs

from doorward.cluster.keys import proves
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, EventRow, SessionRow
from doorward.sessions.central.untrusted import BadAnswerError, checked
from doorward.tree.jsontext import prepared

DIRECTORY: Final = "sessions"
"""Stands before the names of records, beside the ``trails`` of recordings."""
SUFFIX: Final = ".json"
MAX_RECORD: Final = 1 << 20
"""Bytes of a record."""
MAX_ITEMS: Final = 500
"""Channels, events and alerts of a session that a record has, of each."""
_PURPOSE: Final = b"doorward archived session 1\n"
"""Ahead of what is signed, so that no signature of a node means two things."""
_NAME: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{21})-[0-9a-f]{16}\.json\Z")
_PATH: Final = re.compile(r"(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+(/(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+)*\Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
_MAX_PATH: Final = 1024
_SIZES: Final = (MAX_ITEMS, 50, 0)
"""How many items are kept, where more make a record too large."""


class BadRecordError(Exception):
    """An object is no record of a session, or not one of the node. The message says why, fit to be shown."""


@prepared
class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has ended, with what happened in it. Of an encrypted recording commands and matches are left out."""

    row: SessionRow
    channels: list[ChannelRow] = []
    events: list[EventRow] = []
    alerts: list[AlertRow] = []


@prepared
class _Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The object: a line of JSON and its signature."""

    session: str
    signature: str


def sealed(record: SessionRecord, sign: Callable[[bytes], bytes]) -> bytes:
    """Return a record as an object, signed. As many items are left out as make it too large."""
    for most in _SIZES:
        kept = structs.replace(
            record, channels=record.channels[:most], events=record.events[:most], alerts=record.alerts[:most]
        )  # fmt: skip
        text = msgspec.json.encode(kept)
        signature = base64.b64encode(sign(_PURPOSE + text)).decode()
        made = msgspec.json.encode(_Sealed(session=text.decode(), signature=signature))
        if len(made) <= MAX_RECORD:
            return made
    raise BadRecordError("the row of the session is too large")


def name_of(key: str, node: str, content: bytes) -> str:
    """Return the name of a record below the root of its target. Another try makes another one: both tell the same."""
    return f"{DIRECTORY}/{node}/{key}-{hashlib.sha256(content).hexdigest()[:16]}{SUFFIX}"


def key_in(name: str) -> str | None:
    """Return the key of the session in the last part of a name; None: it is none of ours."""
    found = _NAME.match(name)
    return None if found is None else found[1]


def opened(content: bytes, key: str, node: str, certificate: bytes) -> SessionRecord:
    """Return what a node said of a session. Raises BadRecordError.

    ``certificate``: the one of the node (DER), as it is pinned here; ``key``: of the session, by the name of the object.
    """
    try:
        found = msgspec.json.decode(content, type=_Sealed)
        text, signature = found.session.encode(), base64.b64decode(found.signature, validate=True)
        if not proves(certificate, _PURPOSE + text, signature):
            raise BadRecordError("its signature is not that of the node")
        record = msgspec.json.decode(text, type=SessionRecord)
        if max(len(record.channels), len(record.events), len(record.alerts)) > MAX_ITEMS:
            raise BadRecordError("it tells more than a record does")
        clean: SessionRecord = checked(record)
    except (msgspec.DecodeError, RecursionError, UnicodeError, binascii.Error, BadAnswerError) as error:
        raise BadRecordError("it can't be read") from error
    row, archive = clean.row, clean.row.archive
    if (row.key, row.node) != (key, node):
        raise BadRecordError("it tells of another session than its name")
    if row.ended is None or archive is None or not 0 < archive.size < 1 << 53 or not _DIGEST.match(archive.sha256):
        raise BadRecordError("it tells of no recording")
    if len(archive.path) > _MAX_PATH or not _PATH.match(archive.path):
        raise BadRecordError("it tells of no place")
    return clean
