"""Values, bodies and bytes by chance; most are near to something that is right, so that they come far."""

from __future__ import annotations

import json
from random import Random
from typing import Any

TEXTS = (
    "", " ", "x", "admin", "-1", "0", "*", "@new:a", "../..", "%2e%2e", "\0", "\x1b[2J", "\u202e", "\ud800", "é",
    "😀", "a" * 300, "1e999",
    "127.0.0.1", "::1", "fe80::1%lo", "192.0.2.0/33", "25:61", "2026-11-31", "2026-11-29T10:00:00Z", "Europe/Vienna",
    "https://x", "null",
    "true", "[]", "{}", "$ref", "__proto__", "key", "meta", "\r\nSet-Cookie: a=b", "' OR 1=1 --", "<script>",
    "${jndi:x}", "(" * 90,
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 7, 255, 256, 65_535, 65_536, 2**31, -(2**31), 2**53, 2**63, 2**64, 10**400, 0.1, -0.0, 1e308)
PIECES = (
    b"\r\n", b"\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"/", b"..", b"%", b"%00", b"%ff", b"\xff",
    b"\xc0\xaf", b"?", b"#",
    b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2.0", b"Content-Length: 0\r\n", b"Content-Length: -1\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Host: x\r\n", b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Range: bytes=0-\r\n", b"Cookie: session_id=\r\n",
    b"Authorization: Bearer dw_\r\n",
    b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"1;x\r\n", b"A" * 9000,
)  # fmt: skip
_MAX_DEPTH = 3


def value(dice: Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = dice.randrange(6 if depth < _MAX_DEPTH else 4)
    if kind == 0:
        return dice.choice(TEXTS)
    if kind == 1:
        return dice.choice(NUMBERS)
    if kind < 4:
        return dice.choice((None, True, False))
    if kind == 4:
        return [value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(TEXTS): value(dice, depth + 1) for _ in range(dice.randrange(4))}


def mutated(dice: Random, found: Any) -> Any:
    """Return a value with one place of it changed."""
    if isinstance(found, dict) and found and dice.random() < 0.8:
        name = dice.choice(list(found))
        change = dice.randrange(6)
        if change == 0:
            return {key: one for key, one in found.items() if key != name}
        return found | ({dice.choice(TEXTS): value(dice)} if change == 1 else {name: mutated(dice, found[name])})
    if isinstance(found, list) and found and dice.random() < 0.8:
        at = dice.randrange(len(found))
        change = dice.randrange(4)
        middle = [[found[at]] * 2, [], [mutated(dice, found[at])], [mutated(dice, found[at])]][change]
        return [*found[:at], *middle, *found[at + 1 :]]
    return value(dice)


def written(dice: Random, found: Any) -> bytes:
    """Return a value as JSON, now and then as none."""
    text = json.dumps(found, ensure_ascii=bool(dice.randrange(4)))
    data = text.encode("utf-8", "surrogatepass")
    return garbled(dice, data) if dice.random() < 0.1 else data


def garbled(dice: Random, data: bytes) -> bytes:
    """Return bytes with some of them changed, taken out, put in or doubled."""
    made = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        at = dice.randrange(len(made) + 1)
        change = dice.randrange(5)
        if change == 0 and at < len(made):
            made[at] ^= 1 << dice.randrange(8)
        elif change == 1:
            del made[at : at + dice.choice((1, 2, 4, 16, 256))]
        elif change == 2:
            made[at:at] = dice.choice(PIECES)
        elif change == 3:
            made[at:at] = dice.randbytes(dice.choice((1, 2, 4, 16)))
        else:
            made[at:at] = made[at : at + dice.choice((1, 4, 64))]
    return bytes(made)
