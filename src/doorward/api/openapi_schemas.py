"""JSON schemas as the OpenAPI document has them: what is sent is closed, what is answered is open, each shared by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from doorward.tree.references import COMPONENT, HINTS

SCHEMAS = "#/components/schemas/"
_BY_NAME = {"properties", "patternProperties"}
_ONE = {"additionalProperties", "items", "not", "propertyNames"}
_SEVERAL = {"allOf", "anyOf", "oneOf", "prefixItems"}
_COMPOSED = {"$ref", "allOf", "anyOf", "oneOf"}


class Schemas:
    """The components of a document, collected while it is made."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def sent(self, schema: Mapping[str, Any], name: str = "") -> Any:
        """Return the schema of a body that is sent; with a name, a reference to it as a component."""
        return _Walk(self, shown=False).whole(schema, name)

    def answered(self, schema: Mapping[str, Any], name: str = "") -> Any:
        """Return the schema of a body that is answered, which later releases may extend."""
        return _Walk(self, shown=True).whole(schema, f"{name}Shown" if name else "")

    def add(self, name: str, schema: Mapping[str, Any]) -> dict[str, str]:
        """Make a schema a component and return the reference to it. A name stands for one schema, and is its title."""
        schema = {**schema, "title": name}
        if self.found.setdefault(name, schema) != schema:
            raise ValueError(f"Two schemas have the name {name}.")
        return {"$ref": SCHEMAS + name}


class _Walk:
    """The way through one schema and what it defines."""

    def __init__(self, schemas: Schemas, *, shown: bool) -> None:
        self._schemas, self._shown = schemas, shown

    def whole(self, schema: Mapping[str, Any], name: str) -> Any:
        for defined, definition in schema.get("$defs", {}).items():
            self._schemas.add(self._named(defined), self._walk(definition))
        found = self._walk({key: value for key, value in schema.items() if key != "$defs"})
        return self._schemas.add(name, found) if name and "$ref" not in found else found

    def _named(self, name: str) -> str:
        return f"{name}Shown" if self._shown else name

    def _walk(self, schema: Any) -> Any:
        if not isinstance(schema, dict):  # true and false are schemas, too
            return schema
        found = dict(schema)
        for key in found.keys() & _BY_NAME:
            found[key] = {name: self._walk(member) for name, member in found[key].items()}
        for key in found.keys() & _ONE:
            found[key] = self._walk(found[key])
        for key in found.keys() & _SEVERAL:
            found[key] = [self._walk(member) for member in found[key]]
        if str(found.get("$ref", "")).startswith("#/$defs/"):
            found["$ref"] = SCHEMAS + self._named(found["$ref"].rpartition("/")[2])
        _flattened(found)
        _default_in_words(found)
        _typed(found)
        if self._shown and found.get("type") == "object" and not found.get("additionalProperties"):
            found["additionalProperties"] = True
        if (name := found.pop(COMPONENT, None)) is not None:
            return self._schemas.add(name, found)
        return found


def _flattened(schema: dict[str, Any]) -> None:
    """Let alternatives of an alternative, as of a reference that may be null, stand beside the others."""
    options: list[Any] = []
    for option in schema.get("anyOf", ()):
        if isinstance(option, dict) and "anyOf" in option and option.keys() <= {"anyOf", HINTS}:
            options += option["anyOf"]
            schema |= {key: value for key, value in option.items() if key == HINTS}
        else:
            options.append(option)
    if options:
        schema["anyOf"] = options


_TYPES = {str: "string", bool: "boolean", int: "integer", type(None): "null"}


def _typed(schema: dict[str, Any]) -> None:
    """Add the type that fixed values have."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if values and "type" not in schema:
        types = list(dict.fromkeys(_TYPES[type(value)] for value in values))
        schema["type"] = types if types[1:] else types[0]


def _default_in_words(schema: dict[str, Any]) -> None:
    """Move a default beside alternatives into the description: generators take it for one of them."""
    if "default" in schema and schema.keys() & _COMPOSED:
        told = f"Default: `{json.dumps(schema.pop('default'), ensure_ascii=False)}`."
        schema["description"] = f"{schema['description']} {told}" if "description" in schema else told
