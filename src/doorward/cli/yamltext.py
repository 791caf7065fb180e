"""Values as people write them: JSON, or YAML with the types of JSON only.

YAML 1.1 takes ``22:30`` for a number, ``off`` for false and dates for dates; here they are texts, as in YAML 1.2. A key that
comes twice is an error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from doorward.tree.jsontext import decode
from doorward.tree.plaintext import is_visible
from doorward.tree.problems import InvalidBody


class NotReadableError(Exception):
    """A text is neither JSON nor YAML; says where."""


class _Loader(yaml.SafeLoader):
    """Knows mappings, sequences and the scalars of JSON."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in {"bool", "float", "int", "map", "null", "seq", "str"}
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        """Return a mapping; its keys are texts as they are written."""
        del deep
        found: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key.start_mark)
            if key.value in found:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} comes twice", key.start_mark)
            found[key.value] = self.construct_object(value, deep=True)
        return found


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node)


# At once, not later as PyYAML does: a text that holds itself is refused.
_Loader.add_constructor("tag:yaml.org,2002:seq", _sequence)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class _Dumper(yaml.SafeDumper):
    """Quotes what either kind of YAML would take for something else than a text."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's
        """Indent lists below their key."""
        del indentless
        super().increase_indent(flow, False)  # noqa: FBT003 - PyYAML's

    def ignore_aliases(self, _data: Any) -> bool:
        """Write everything out."""
        return True


_SCALARS = (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
)
for _kind in (_Loader, _Dumper):
    for _tag, _pattern, _first in _SCALARS:
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


_BREAKS = re.compile("[\r\x85\u2028\u2029]")
"""What YAML 1.1 takes for the end of a line, the usual one apart."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    is_escaped = _BREAKS.search(value) or not _is_plain(value)
    style = '"' if is_escaped else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_plain(text: str) -> bool:
    return text.isascii() or all(one == "\n" or is_visible(one) for one in text)


def _escaped(one: str) -> str:
    return f"\\u{ord(one):04X}" if ord(one) < 1 << 16 else f"\\U{ord(one):08X}"


_Dumper.add_representer(str, _text)


def load(text: str) -> Any:
    """Return the value of a text. Raises NotReadableError."""
    if text.lstrip()[:1] in {"{", "[", '"'}:
        try:
            return decode(text.strip().encode())
        except InvalidBody as refused:
            if any(problem.code != "invalid_json" for problem in refused.problems):
                raise NotReadableError("; ".join(f"{p.pointer}: {p.message}" for p in refused.problems)) from None
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with fewer types
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise NotReadableError(f"{where}{error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotReadableError(str(error)) from None


def dump(value: Any) -> str:
    """Return a value as YAML, ending with a line break; ``load`` reads the same value back.

    Nothing in it steers a terminal, turns the direction of writing or stays unseen: such characters are escaped.
    """
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=1000)
    if not _is_plain(text):  # what PyYAML takes for printable; it stands in double quotes
        text = "".join(one if one == "\n" or is_visible(one) else _escaped(one) for one in text)
    return text.removesuffix("...\n")
