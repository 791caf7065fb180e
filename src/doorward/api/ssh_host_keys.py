"""``/api/ssh-host-keys``: the host keys of servers that are trusted. No transaction.

A POST with ``public_key`` trusts a key from now on. One with ``scan`` shows what the server offers, for a person to compare, and
trusts nothing. Nothing replaces a key: another one of the same type takes a DELETE first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from pydantic_core import InitErrorDetails

from doorward.api import errors
from doorward.api.backup.answers import PAGE_QUERY, page
from doorward.api.bodies import sent
from doorward.api.request import Request, Response
from doorward.api.resources import ITEMS, Operation, Resource, answer_schema, meta
from doorward.areas.threads import call_remote
from doorward.proxy.control.proofs import blob_of, is_strong, read
from doorward.sessions.admission import one_address
from doorward.sessions.host_keys import HostKey, OtherKeyError, TooManyKeysError, TrustedHostKeys
from doorward.tree.fields import Port, bad_format, host_name
from doorward.tree.models import Interrelated, wrong

ROOT = "/api/ssh-host-keys"
SSH = "/special/ssh"
_ONE = answer_schema(body={"type": "object"}, key={"type": "string"})

_EXAMPLE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINfMPvcqa8+dU7UwItAVS/PV78PT2pHCj2d5ig0l4zIY"

Scan = Callable[[str, int], dict[str, Any]]
"""Asks a server for its host keys: ``code``, ``host_keys``, ``message``. Blocks."""


def _public_key(value: str) -> str:
    """Return a public key as ``type base64``, without its comment."""
    words = value.split()
    blob = blob_of(value) if len(words) >= 2 else None  # noqa: PLR2004 - type and key
    if blob is None or not is_strong(read(words[0], blob).key):
        raise bad_format("Must be an OpenSSH public key: Ed25519, ECDSA, or RSA of 2048 bits and more.")
    return " ".join(words[:2])


def _host(value: str) -> str:
    """Return a name or an address in its usual form."""
    with contextlib.suppress(ValueError):
        return str(one_address(value))
    return host_name(value)


class NewHostKey(Interrelated):
    """A key to trust, or a server to ask."""

    host: Annotated[str, StringConstraints(min_length=1, max_length=253), AfterValidator(_host)] = Field(
        description="Name or address of the server, as users name it.", examples=["10.110.0.1"]
    )
    port: Port = Field(22, description="Its port.")
    public_key: Annotated[str, StringConstraints(max_length=16_384), AfterValidator(_public_key)] | None = Field(
        None,
        description="The key to trust, as 'type base64'.",
        examples=[_EXAMPLE],
    )
    scan: bool = Field(default=False, description="Whether to show what the server offers instead; nothing is trusted by that.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want a key or a scan."""
        if sent.get("public_key") is None and sent.get("scan") is not True:
            yield wrong("missing", "Required without scan.", "public_key")
        elif sent.get("public_key") is not None and sent.get("scan") is True:
            yield wrong("contradiction", "Must be false with public_key.", "scan")


_NEW: TypeAdapter[NewHostKey] = TypeAdapter(NewHostKey)


def _href(name: str) -> str:
    return f"{ROOT}/{quote(name, safe=':@+')}"


def _body(key: HostKey) -> dict[str, Any]:
    return {
        "by": key.by, "fingerprint": key.fingerprint, "host": key.host, "learned": key.learned, "port": key.port,
        "public_key": key.public_key, "type": key.type,
    }  # fmt: skip


class SshHostKeys(Resource):
    """Trusted host keys."""

    operations = {
        "GET": Operation("Trusted host keys, by their keys.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY),
        "POST": Operation(
            "Trust a host key, or show which ones a server offers.",
            _ONE,
            body=_NEW,
            status=201,
            errors=(400, 403, 409),
        ),
    }
    privilege = SSH

    def __init__(self, host_keys: TrustedHostKeys, scan: Scan, is_managed: Callable[[], bool]) -> None:
        self._host_keys, self._scan, self._is_managed = host_keys, scan, is_managed

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one key."""
        key = self._host_keys.find(segment)
        return OneHostKey(self._host_keys, key, self._is_managed) if key is not None else None

    def template(self) -> tuple[str, Resource]:
        """Return what a key is like."""
        return "key", OneHostKey(self._host_keys, HostKey("", "", 0, "", "", "", ""), self._is_managed)

    async def get(self, request: Request) -> Response:
        """List a page."""
        limit, offset = page(request)
        found = self._host_keys.all()[offset : offset + limit]
        items = [{"body": _body(key), "key": key.id, "meta": {"href": _href(key.id)}} for key in found]
        return Response({"items": items, "meta": meta(request)})

    async def post(self, request: Request) -> Response:
        """Trust a key, or show what a server offers."""
        new, warnings = await sent(request, _NEW)
        about = {"warnings": warnings} if warnings else {}
        host = new.host
        if new.public_key is None:
            body = {**await call_remote(self._scan, host, new.port), "host": host, "port": new.port}
            return Response({"body": body, "key": "scan", "meta": meta(request, **about)})
        try:
            key = await asyncio.to_thread(self._host_keys.add, host, new.port, new.public_key, request.member.name)
        except OtherKeyError as other:
            raise errors.conflict(str(other), resource=_href(other.known.id)) from None
        except TooManyKeysError:
            raise errors.conflict("There is no room for more host keys.", resource=ROOT) from None
        content = {"body": _body(key), "key": key.id, "meta": {"href": _href(key.id), "parent": ROOT, **about}}
        return Response(content, 201, {"Location": _href(key.id)})


class OneHostKey(Resource):
    """One trusted host key."""

    operations = {
        "GET": Operation("The key, since when it is trusted, and who trusted it.", _ONE),
        "DELETE": Operation(
            "Trust the key no more. Running sessions go on. On a managed host: at Central Management.",
            answer_schema(),
            errors=(403, 409),
        ),
    }
    privilege = SSH

    def __init__(self, host_keys: TrustedHostKeys, key: HostKey, is_managed: Callable[[], bool]) -> None:
        self._host_keys, self._key, self._is_managed = host_keys, key, is_managed

    async def get(self, _request: Request) -> Response:
        """Answer the key."""
        about = {"href": _href(self._key.id), "parent": ROOT}
        return Response({"body": _body(self._key), "key": self._key.id, "meta": about})

    async def delete(self, request: Request) -> Response:
        """Forget it."""
        if self._is_managed():
            message = "Host keys are trusted by all nodes of the cluster; delete this one at Central Management."
            raise errors.conflict(message, code="from_central_management", resource=request.href)
        if not await asyncio.to_thread(self._host_keys.remove, self._key.id):
            raise errors.not_found(request.href, request.href)
        return Response({"meta": {"href": _href(self._key.id), "parent": ROOT}})
