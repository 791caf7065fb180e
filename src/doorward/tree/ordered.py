"""Ordered maps: ``{"@order": ["a", "b"], "a": ..., "b": ...}`` (protocol, section 6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from doorward.tree.changes import ORDER
from doorward.tree.models import raised_again
from doorward.tree.references import HINTS

_ID = re.compile(r"[a-z0-9_-]{1,64}\Z")


class Ordered(Struct, frozen=True):
    """Annotation of a ``dict[str, T]``: an ordered map with at most ``most`` entries.

    The validated value is a dict in the given order. Reports a wrong ``@order`` (code ``order``), bad ids (``format``) and
    bad entries together.
    """

    most: int = 1000

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler(source)
        return core_schema.no_info_wrap_validator_function(
            self._validate,
            inner,
            serialization=core_schema.wrap_serializer_function_ser_schema(_show, info_arg=True, schema=inner),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        entries = handler(schema).get("additionalProperties", True)
        order = {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "description": "The ids in order."}
        properties = {ORDER: order}
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": entries,
            "required": [ORDER],
            HINTS: {"ordered": True},
        }

    def _validate(self, value: Any, inner: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        if not isinstance(value, dict):
            return inner(value)
        entries = {name: member for name, member in value.items() if name != ORDER}
        errors = [*_wrong_order(value, entries), *_wrong_ids(entries)]
        if len(entries) > self.most:
            errors.append(_error("length", f"At most {self.most} entries.", ()))
        try:
            checked = inner(entries)
        except ValidationError as error:
            errors.extend(raised_again(error))
            checked = {}
        if errors:
            raise ValidationError.from_exception_data("ordered map", errors, hide_input=True)
        return {name: checked[name] for name in value[ORDER]}


def _show(value: dict[str, Any], inner: Callable[[Any], dict[str, Any]], _info: SerializationInfo) -> dict[str, Any]:
    return {ORDER: list(value), **inner(value)}


def _wrong_order(value: dict[str, Any], entries: dict[str, Any]) -> list[InitErrorDetails]:
    if ORDER not in value:
        return [_error("missing", "Required.", (ORDER,))]
    order = value[ORDER]
    if not isinstance(order, list):
        return [_error("type", "Must be an array of ids.", (ORDER,))]
    if bad := [index for index, name in enumerate(order) if not isinstance(name, str)]:
        return [_error("type", "Must be an id.", (ORDER, index)) for index in bad]
    if len(order) != len(set(order)) or set(order) != entries.keys():
        return [_error("order", "Must name every other member once and nothing else.", (ORDER,))]
    return []


def _wrong_ids(entries: dict[str, Any]) -> list[InitErrorDetails]:
    return [_error("format", "An id has 1-64 of a-z 0-9 _ -.", (name,)) for name in entries if not _ID.match(name)]


def _error(code: str, message: str, loc: tuple[str | int, ...]) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(code, message), loc=loc, input=None)
