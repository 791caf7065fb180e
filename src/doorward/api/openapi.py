"""``/api/openapi.json``: OpenAPI 3.1 of everything served, made from the resources themselves."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from doorward import __version__
from doorward.api.openapi_parts import ERROR, HEADERS, OF_STATUS, PARAMETERS, TAGS, described, tag_of
from doorward.api.openapi_schemas import Schemas
from doorward.api.request import Request, Response, is_named
from doorward.api.resources import Operation, Resource
from doorward.configuration.aaa.acls import OBJECT_TITLES
from doorward.tree.references import HINTS
from doorward.tree.titles import WORDS

_MADE = {201, 202, 303}
_COMMON_ERRORS = (429, 500, 503)
_ERRORS = (400, 401, 403, 404, 405, 409, 411, 412, 413, 415, *_COMMON_ERRORS)
_ABOUT = (
    "Configuration, commits and operation of Doorward. Every branch of the configuration tree is a tag. A login session is a "
    "cookie; writes go into its transaction and take effect at its commit."
)


class OpenApi(Resource):
    """The description of the API."""

    operations = {"GET": Operation("This document.", {"type": "object"}, headers=("If-None-Match",), sends=("ETag",))}
    listed = False

    def __init__(self, root: Resource) -> None:
        self._root = root

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole document as a JSON value."""
        schemas = Schemas()
        error = schemas.answered(ERROR)
        paths: dict[str, Any] = {}
        hints: dict[str, Any] = {}
        for path, resource in resources(self._root):
            if resource.hints:
                hints[path] = resource.hints
            operations = {
                method.lower(): self._operation(path, method, operation, resource, schemas)
                for method, operation in resource.operations.items()
            }
            if operations:
                paths[path] = operations
        tags = dict.fromkeys(operation["tags"][0] for operations in paths.values() for operation in operations.values())
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Doorward",
                "summary": "Privileged-session appliance",
                "description": _ABOUT,
                "version": __version__,
                "contact": {"name": "Doorward"},
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/", "description": "The node that answers this."}],
            "security": [{"session": []}, {"token": []}],
            "tags": [{"name": tag, "description": TAGS.get(tag) or self._about(tag)} for tag in sorted(tags)],
            "paths": paths,
            HINTS: {"endpoints": hints, "objects": OBJECT_TITLES, "words": WORDS},
            "components": {
                "headers": HEADERS,
                "parameters": {name: {"name": name, "in": "header", **found} for name, found in PARAMETERS.items()},
                "responses": {
                    "304": {"description": described(304), "headers": _headers(("ETag",))},
                    **{str(code): _response(code, error) for code in _ERRORS},
                },
                "schemas": schemas.found,
                "securitySchemes": {
                    "session": {"type": "apiKey", "in": "cookie", "name": "session_id"},
                    "basic": {"type": "http", "scheme": "basic"},
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "A token of /api/user/tokens, in place of a login.",
                    },
                },
            },
        }

    @cached_property
    def _text(self) -> bytes:
        return json.dumps(self.document, separators=(",", ":"), ensure_ascii=False).encode()

    def _about(self, tag: str) -> str:
        """Return what the branch of a tag is, from its declaration."""
        resource: Resource = self._root.children["api"]
        for name in tag.split("-", 1) if tag.startswith("configuration") else ():
            resource = resource.children[name]
        return resource.about or "What there is."

    def _operation(self, path: str, method: str, operation: Operation, resource: Resource, schemas: Schemas) -> dict[str, Any]:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        writes = method != "GET"
        body = operation.body_schema
        headers = operation.headers or (("Prefer",) if body else ())
        headers = (*headers, *(("X-Token",) if writes and method not in resource.anonymous else ()))
        sends = (*operation.sends, *(("Location",) if operation.status in _MADE else ()))
        answered = _response(operation.status, schemas.answered(operation.answer), operation.media_type, sends)
        for kind, schema in operation.others.items():
            answered["content"][kind] = {"schema": schema}
        found: dict[str, Any] = {
            "operationId": re.sub(r"[^a-z0-9]+", "_", (method + path.removeprefix("/api")).lower()).strip("_"),
            "tags": [tag_of(path)],
            "summary": operation.summary,
            "description": operation.description or resource.about or operation.summary,
            "parameters": [
                *({"name": n, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for n in names),
                *({"name": n, "in": "query", "schema": schema} for n, schema in operation.query.items()),
                *({"$ref": f"#/components/parameters/{name}"} for name in headers),
            ],
            "responses": {str(operation.status): answered},
        }
        for status in operation.also:
            found["responses"][str(status)] = _response(
                status, schemas.answered(operation.answer), operation.media_type, (*sends, "Location")
            )  # fmt: skip
        if operation.content:
            content = {kind: {"schema": schemas.sent(schema)} for kind, schema in operation.content.items()}
            found["requestBody"] = {"required": True, "content": content}
        elif body is not None:
            schema = schemas.sent(body, operation.body_name or _named(path, body))
            found["requestBody"] = {"required": bool(schema), "content": {"application/json": {"schema": schema}}}
        if method in resource.anonymous:
            found["security"] = [{}, {"session": []}, {"basic": []}]
        for code in sorted(self._codes(method, operation, resource, names)):
            found["responses"][str(code)] = {"$ref": f"#/components/responses/{code}"}
        return {name: value for name, value in found.items() if value != []}

    @staticmethod
    def _codes(method: str, operation: Operation, resource: Resource, names: list[str]) -> set[int]:
        """Return the further statuses that an operation can answer."""
        codes = {*operation.errors, *_COMMON_ERRORS, 401} | ({404} if names else set())
        codes |= {400, 411, 413, 415} if method in {"POST", "PUT"} else set()
        is_guarded = resource.privilege or type(resource).may_read is not Resource.may_read
        codes |= {403} if method != "GET" or is_guarded else set()
        codes |= {304} if "If-None-Match" in operation.headers else set()
        return codes - {operation.status, *operation.also}

    @cached_property
    def _packed(self) -> bytes:
        return gzip.compress(self._text, 6, mtime=0)

    @cached_property
    def _etag(self) -> str:
        return f'"{hashlib.sha256(self._text).hexdigest()[:32]}"'

    def prepare(self) -> None:
        """Make the document for whoever asks next. Takes a second the first time."""
        _ = self._etag, self._packed

    async def get(self, request: Request) -> Response:
        """Answer the document, by gzip to whoever takes that: it is large; and not to those who have it already."""
        await asyncio.to_thread(self.prepare)
        headers = {"ETag": self._etag}
        if is_named(request.headers.get("if-none-match"), self._etag):
            return Response(b"", 304, headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self._packed, headers={**headers, "Content-Encoding": "gzip", "Content-Type": "application/json"})
        return Response(self._text, headers=headers)


def _named(path: str, schema: Mapping[str, Any]) -> str:
    """Return the name of a body that a model describes, from the path that it is sent to."""
    words = re.findall(r"[A-Za-z0-9]+", path.removeprefix("/api"))
    return "".join(word.capitalize() for word in words) + "Body" if "properties" in schema else ""


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _response(
    code: int, schema: Mapping[str, Any], media_type: str = "application/json", headers: Iterable[str] = ()
) -> dict[str, Any]:
    found = {
        "description": described(code),
        "headers": _headers((*headers, *OF_STATUS.get(code, ()), *(("Set-Cookie",) if code < 400 else ()), "X-Request-Id")),  # noqa: PLR2004 - HTTP's number
    }
    return {**found, "content": {media_type: {"schema": schema}}} if schema else found


def resources(resource: Resource, path: str = "") -> Iterator[tuple[str, Resource]]:
    """Yield all resources below one, with their paths; those whose names are not known beforehand by a template."""
    if path:
        yield path, resource
    for name, child in resource.children.items():
        yield from resources(child, f"{path}/{name}")
    template = resource.template()
    if template is not None:
        name, child = template
        yield from resources(child, f"{path}/{{{name}}}")
