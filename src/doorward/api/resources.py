"""What hangs in the API: resources with methods, and containers of them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field
from pydantic import TypeAdapter

from doorward.api import errors
from doorward.api.request import Request, Response


class Operation(Struct, frozen=True):
    """What the OpenAPI document says of one method: a line, JSON schemas of body and answer, further status codes.

    ``body`` may be the validator of the body: to ask one for its schema takes a while, so that this is left to the document.
    ``headers`` are the header fields that a request may have, ``sends`` those of the answer. ``body_name`` makes the
    body a component. ``content`` maps media types to schemas, for bodies that are not JSON.
    """

    summary: str
    answer: Mapping[str, Any] = field(default_factory=dict)
    body: TypeAdapter[Any] | Mapping[str, Any] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    media_type: str = "application/json"
    description: str = ""
    headers: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()
    body_name: str = ""
    content: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Further media types of the answer, with the schemas of that."""
    also: tuple[int, ...] = ()
    """Further statuses that come with the same answer, and with a ``Location``."""

    @property
    def body_schema(self) -> Mapping[str, Any] | None:
        """The JSON schema of the body; None: there is none."""
        return self.body.json_schema() if isinstance(self.body, TypeAdapter) else self.body


READING = frozenset({"GET", "HEAD"})
"""The methods that read."""


class Resource:
    """Something at a path. Subclasses implement ``get``, ``post``, ``put`` or ``delete`` and describe them in ``operations``."""

    operations: Mapping[str, Operation] = {}
    anonymous: frozenset[str] = frozenset()
    """Methods that need no login."""
    is_public = False
    """Whether nobody is asked to log in, whatever the method."""
    children: Mapping[str, Resource] = {}
    listed = True
    """Whether the parent's GET shows the resource."""
    privilege = ""
    """The ACL object that guards the resource; "" lets every login in."""
    hints: Mapping[str, Any] = {}
    """What whoever makes a page of the resource needs to know beside its operations: title, kind, scope, privilege."""
    extends = True
    """Whether a request extends the login session."""

    reserved: frozenset[str] = frozenset()
    """Methods that are equal to every right, and so for those who may do everything."""

    personal: frozenset[str] = frozenset()
    """Methods that take somebody who logged in: no token has them."""

    for_every_token: frozenset[str] = frozenset()
    """Methods that tokens have whatever paths they are limited to: what is asked for is judged by the places it is about."""

    seconds: float | None = None
    """How long an answer may take before it is given up; None: as long as any other."""

    media_types: tuple[str, ...] = ("application/json",)
    """What bodies may be; () takes everything."""

    @property
    def about(self) -> str:
        """What the OpenAPI document says of the resource as a whole."""
        return inspect.getdoc(type(self)) or ""

    def allow(self) -> tuple[str, ...]:
        """Return the methods of the resource, sorted."""
        found = {method for method in ("GET", "POST", "PUT", "DELETE") if method in self.operations}
        return tuple(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())))

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return what hangs below under a name."""
        return self.children.get(segment)

    def template(self) -> tuple[str, Resource] | None:
        """Return what hangs below under any name, for the OpenAPI document: (what the name is, a resource like it)."""
        return None

    def may_read(self, request: Request) -> bool:
        """Whether the caller may read the resource."""
        rights = request.member.rights
        return (not self.privilege or rights.may_read(self.privilege, request.href)) and self._may_reserved(request)

    def may_write(self, request: Request) -> bool:
        """Whether the caller may write the resource."""
        rights = request.member.rights
        return (not self.privilege or rights.may_write(self.privilege, request.href)) and self._may_reserved(request)

    def _may_reserved(self, request: Request) -> bool:
        return request.method not in self.reserved or request.member.rights.everything

    async def get(self, request: Request) -> Response:
        """Answer GET."""
        raise errors.method_not_allowed(request.method, request.href)

    async def post(self, request: Request) -> Response:
        """Answer POST."""
        raise errors.method_not_allowed(request.method, request.href)

    async def put(self, request: Request) -> Response:
        """Answer PUT."""
        raise errors.method_not_allowed(request.method, request.href)

    async def delete(self, request: Request) -> Response:
        """Answer DELETE."""
        raise errors.method_not_allowed(request.method, request.href)


HREF = {"type": "string"}
WARNINGS = {
    "type": "array",
    "items": {
        "x-component": "Warning",
        "type": "object",
        "properties": {
            "change": {"type": "integer", "minimum": 0, "description": "Index of the change that it is about."},
            "code": {"type": "string", "description": "For programs."},
            "message": {"type": "string", "description": "For people."},
            "path": {"type": "string", "description": "The resource."},
            "pointer": {"type": "string", "format": "json-pointer", "description": "The place in the body; empty: all of it."},
        },
        "required": ["code", "message", "path", "pointer"],
    },
}
META: Mapping[str, Any] = {
    "x-component": "Meta",
    "type": "object",
    "properties": {
        "href": HREF,
        "parent": {"type": ["string", "null"]},
        "remaining_seconds": {"type": "integer", "minimum": 0, "description": "How long the login session still lives."},
        "warnings": WARNINGS,
    },
    "required": ["href", "parent"],
}
"""JSON schema of ``meta``."""

TIME = {"type": "string", "format": "date-time"}
"""JSON schema of a moment, in UTC."""


def meta_schema(name: str, *links: str, **members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a ``meta`` with further links, and other members, as a component."""
    properties = {**META["properties"], **dict.fromkeys(links, HREF), **members}
    return {**META, "x-component": name, "properties": properties}


def answer_schema(about: Mapping[str, Any] = META, /, **members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an answer with these members beside ``meta``."""
    return {"type": "object", "properties": {**members, "meta": about}, "required": [*members, "meta"]}


def items_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of ``items`` whose bodies have a schema; the container's own have none."""
    link = {"type": "object", "properties": {"href": HREF}, "required": ["href"]}
    item = {"type": "object", "properties": {"body": body, "key": {"type": "string"}, "meta": link}, "required": ["key", "meta"]}
    return {"type": "array", "items": item}


FILE = {"type": "string", "format": "binary"}
"""JSON schema of a body that is bytes."""

ITEMS = items_of({})
"""JSON schema of ``items``."""


class Container(Resource):
    """Fixed children."""

    operations = {"GET": Operation("The children.", answer_schema(items=ITEMS))}

    def __init__(self, children: Mapping[str, Resource]) -> None:
        self.children = children

    async def get(self, request: Request) -> Response:
        """List the children in byte order."""
        names = sorted(name for name, child in self.children.items() if child.listed)
        items = [{"key": name, "meta": {"href": f"{request.href}/{name}"}} for name in names]
        return Response({"items": items, "meta": meta(request)})


class Deferred(Container):
    """Fixed children that are made when somebody asks for one: what hardly anybody uses is not even imported before."""

    def __init__(self, children: Callable[[], Mapping[str, Resource]]) -> None:
        self._make = children
        self._made: Mapping[str, Resource] | None = None
        self._lock = threading.Lock()

    def make(self) -> Mapping[str, Resource]:
        """Return the children, made unless they are there already. Blocks for a moment then; safe in any thread."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    @property
    def children(self) -> Mapping[str, Resource]:  # type: ignore[override]
        """The children, made by now."""
        return self.make()


def require_everything(request: Request) -> None:
    """Raise 403 unless the caller may do everything, where the body decides that it takes so much; from then on it does."""
    before = request.is_allowed
    if not request.member.rights.everything:
        raise errors.reserved(request.href)
    request.is_allowed = lambda: before() and request.member.rights.everything


def meta(request: Request, **links: Any) -> dict[str, Any]:
    """Return the ``meta`` of an answer outside the configuration tree; the application adds ``remaining_seconds``."""
    return {"href": request.href, "parent": request.parent, **links}


def envelope(request: Request, key: str, body: Any, **links: Any) -> Response:
    """Return the answer of a single resource: ``body``, ``key``, ``meta``."""
    return Response({"body": body, "key": key, "meta": meta(request, **links)})
