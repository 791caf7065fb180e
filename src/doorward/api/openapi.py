"""``/api/openapi.json``: OpenAPI 3.1 of everything served, made from the resources themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any

from doorward import __version__
from doorward.api.request import Answer, Request
from doorward.api.resources import META, Operation, Resource

_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"details": {"type": "object"}, "message": {"type": "string"}, "type": {"type": "string"}},
            "required": ["details", "message", "type"],
            "additionalProperties": False,
        },
        "meta": META,
    },
    "required": ["error", "meta"],
    "additionalProperties": False,
}
_COMMON_ERRORS = (429, 500, 503)
_ERRORS = (400, 401, 403, 404, 409, 411, 412, 413, 415, 417, *_COMMON_ERRORS)


class OpenApi(Resource):
    """The description of the API."""

    operations = {"GET": Operation("This document.", {"type": "object"})}
    listed = False

    def __init__(self, root: Resource) -> None:
        self._root = root

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole document as a JSON value."""
        schemas: dict[str, Any] = {"Error": _ERROR}
        paths: dict[str, Any] = {}
        for path, resource in _walk(self._root, ""):
            operations = {
                method.lower(): self._operation(path, method, operation, resource, schemas)
                for method, operation in resource.operations.items()
            }
            if operations:
                paths[path] = operations
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Doorward",
                "version": __version__,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"session": []}],
            "paths": paths,
            "components": {
                "responses": {str(code): _response(code, {"$ref": "#/components/schemas/Error"}) for code in _ERRORS},
                "schemas": schemas,
                "securitySchemes": {
                    "session": {"type": "apiKey", "in": "cookie", "name": "session_id"},
                    "basic": {"type": "http", "scheme": "basic"},
                },
            },
        }

    @cached_property
    def _text(self) -> bytes:
        return json.dumps(self.document, separators=(",", ":"), ensure_ascii=False).encode()

    def _operation(
        self, path: str, method: str, operation: Operation, resource: Resource, schemas: dict[str, Any]
    ) -> dict[str, Any]:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for n in names]
        parameters += [{"name": n, "in": "query", "schema": schema} for n, schema in operation.query.items()]
        described: dict[str, Any] = {
            "operationId": (method.lower() + path.replace("/", "_")).replace("{", "").replace("}", ""),
            "summary": operation.summary,
            "responses": {
                str(operation.status): _response(operation.status, _lifted(operation.answer, schemas), operation.media_type)
            },
        }
        if parameters:
            described["parameters"] = parameters
        if operation.body is not None:
            schema = _lifted(operation.body, schemas)
            described["requestBody"] = {"required": bool(schema), "content": {"application/json": {"schema": schema}}}
        if method in resource.anonymous:
            described["security"] = [{}, {"session": []}, {"basic": []}]
        codes = {*operation.errors, *_COMMON_ERRORS, 401} | ({404} if names else set())
        codes |= {400, 411, 413, 415} if method in {"POST", "PUT"} else set()
        codes |= {403} if method != "GET" or resource.privilege else set()
        for code in sorted(codes - {operation.status}):
            described["responses"][str(code)] = {"$ref": f"#/components/responses/{code}"}
        return described

    async def get(self, _request: Request) -> Answer:
        """Answer the document. To make it takes a moment."""
        return Answer(await asyncio.to_thread(lambda: self._text))


def _response(code: int, schema: Mapping[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"description": HTTPStatus(code).phrase, "content": {media_type: {"schema": schema}}}


def _lifted(schema: Mapping[str, Any], schemas: dict[str, Any]) -> Any:
    """Move the definitions inside a schema to the components of the document."""
    text = json.dumps(schema).replace("#/$defs/", "#/components/schemas/")
    return _without_definitions(json.loads(text), schemas)


def _without_definitions(value: Any, schemas: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_without_definitions(element, schemas) for element in value]
    if not isinstance(value, dict):
        return value
    for name, definition in value.pop("$defs", {}).items():
        schemas[name] = _without_definitions(definition, schemas)
    return {name: _without_definitions(member, schemas) for name, member in value.items()}


def _walk(resource: Resource, path: str) -> Iterator[tuple[str, Resource]]:
    if path:
        yield path, resource
    for name, child in resource.children.items():
        yield from _walk(child, f"{path}/{name}")
    template = resource.template()
    if template is not None:
        name, child = template
        yield from _walk(child, f"{path}/{{{name}}}")
