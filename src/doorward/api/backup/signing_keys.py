"""``/api/backup/signing_keys``: whose signatures on archives count (backup contract, sections 3 and 10)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from doorward.api import errors
from doorward.api.backup.answers import BACKUP, ONE, PAGE_QUERY, ROOT, page
from doorward.api.bodies import sent
from doorward.api.request import Request, Response
from doorward.api.resources import ITEMS, Operation, Resource, answer_schema, meta
from doorward.backup.signing import KnownKey, NodeSigningKeys
from doorward.tree.fields import bad_format
from doorward.tree.models import Body

_HREF = f"{ROOT}/signing_keys"
_BYTES = 32


def _raw(value: str) -> str:
    try:
        if len(base64.b64decode(value, validate=True)) == _BYTES:
            return value
    except (binascii.Error, ValueError):
        pass
    raise bad_format("Must be base64 of the 32 bytes of an Ed25519 public key.")


class NewKey(Body):
    """A key to trust."""

    public_key: Annotated[str, StringConstraints(max_length=100), AfterValidator(_raw)] = Field(
        description="The raw Ed25519 public key of another node, in base64."
    )


_NEW: TypeAdapter[NewKey] = TypeAdapter(NewKey)


def _body(key: KnownKey) -> dict[str, str]:
    return {"added": key.added, "fingerprint": key.fingerprint, "public_key": key.public_key, "role": key.role}


def _href(key: KnownKey) -> str:
    return f"{_HREF}/{quote(key.fingerprint, safe=':+')}"


class SigningKeys(Resource):
    """The known keys."""

    operations = {
        "GET": Operation("Known signing keys, newest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY),
        "POST": Operation("Trust the key of another node.", ONE, body=_NEW, status=201, errors=(400, 403)),
    }
    privilege = BACKUP
    reserved = frozenset({"POST"})

    def __init__(self, signing: NodeSigningKeys) -> None:
        self._signing = signing

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one key."""
        key = self._signing.get(segment)
        return OneKey(self._signing, key) if key else None

    def template(self) -> tuple[str, Resource]:
        """Return what a key is like."""
        return "fingerprint", OneKey(self._signing, KnownKey("", "", "trusted", ""))

    async def get(self, request: Request) -> Response:
        """List a page."""
        limit, offset = page(request)
        found = (await asyncio.to_thread(self._signing.all))[offset : offset + limit]
        items = [{"body": _body(key), "key": key.fingerprint, "meta": {"href": _href(key)}} for key in found]
        return Response({"items": items, "meta": meta(request)})

    async def post(self, request: Request) -> Response:
        """Trust a key; one that is known already stays what it is."""
        new, warnings = await sent(request, _NEW)
        key = await asyncio.to_thread(self._signing.trust, new.public_key)
        about = {"href": _href(key), "parent": _HREF} | ({"warnings": warnings} if warnings else {})
        return Response({"body": _body(key), "key": key.fingerprint, "meta": about}, 201, {"Location": _href(key)})


class OneKey(Resource):
    """One known key."""

    operations = {
        "GET": Operation("The key, and what it is to this node.", ONE),
        "DELETE": Operation("Trust the key no more.", answer_schema(), errors=(403, 409)),
    }
    privilege = BACKUP

    def __init__(self, signing: NodeSigningKeys, key: KnownKey) -> None:
        self._signing, self._key = signing, key

    async def get(self, _request: Request) -> Response:
        """Answer the key."""
        about = {"href": _href(self._key), "parent": _HREF}
        return Response({"body": _body(self._key), "key": self._key.fingerprint, "meta": about})

    async def delete(self, request: Request) -> Response:
        """Forget it, unless it is this node's own."""
        if self._key.role != "trusted":
            raise errors.conflict("A key of this node itself is not removed.", resource=_href(self._key))
        await asyncio.to_thread(self._signing.distrust, self._key.fingerprint)
        return Response({"meta": {"href": _href(self._key), "parent": request.parent}})
