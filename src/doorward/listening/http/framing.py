"""What a request head must be like beyond what the parser checks, so that no two readers of a connection see different requests.

The parser (llhttp, strict) refuses bare CR and LF, folded lines, two lengths, a length beside a transfer coding, names with
blanks and chunks that are not spelled as they should be. RFC 9112, sections 3.2, 3.3 and 6.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import httptools

_HOST = re.compile(rb"(\[[0-9A-Za-z:.%_~-]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)

Head = Sequence[tuple[bytes, bytes]]
"""Header fields as they came, names in lower case."""


class BadRequestError(Exception):
    """A request that is answered with 400, and whose connection ends."""


def check_head(version: str, fields: Head) -> None:
    """Refuse other versions than 1.0 and 1.1, no, two or a malformed ``Host``, and other codings than ``chunked`` alone."""
    hosts = [value for name, value in fields if name == b"host"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if version not in {"1.0", "1.1"} or len(hosts) > 1 or (version == "1.1" and not hosts):
        raise BadRequestError
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise BadRequestError
    if codings and (version == "1.0" or len(codings) > 1 or codings[0].strip(b" \t").lower() != b"chunked"):
        raise BadRequestError


def split_target(target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return path, query and, where the target is a whole URL, its host, which counts in place of ``Host``. Both stay encoded."""
    absolute = _ABSOLUTE.match(target)
    host = absolute[1] if absolute else None
    if host is None and target != b"*" and not target.startswith(b"/"):
        raise BadRequestError
    if host is not None and (not host or not _HOST.fullmatch(host)):
        raise BadRequestError
    if b"#" in target:
        raise BadRequestError
    url = httptools.parse_url(target)
    return url.path or b"/", url.query or b"", host
