"""JSON as the wire wants it: strict on the way in, canonical on the way out (protocol, sections 2.5, 6 and 12)."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from doorward.tree.problems import InvalidBody, Problem, pointer

MAX_DEPTH = 32
"""Levels of nesting a written body may have."""

MAX_MEMBERS = 1001
"""Members that an object, and elements that an array of a written body may have: an ordered map of 1,000, and its order."""

_Kind = TypeVar("_Kind")

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


def encode(value: object) -> bytes:
    """Encode canonically: UTF-8, no white space, members sorted by name in byte order."""
    return _encoder.encode(value)


def decode_own(data: bytes) -> Any:
    """Decode JSON that we encoded ourselves."""
    return _decoder.decode(data)


def prepared(kind: type[_Kind]) -> type[_Kind]:
    """Let msgspec look at a class now, as a decorator of whatever is decoded in threads.

    It looks at the first use otherwise, and two threads whose first use is at the same moment crash the process (msgspec 0.22).
    """
    msgspec.json.Decoder(kind)
    return kind


class DuplicateKeys(dict[str, Any]):
    """An object in which a member name came more than once."""

    names: tuple[str, ...] = ()


def decode(data: bytes, widest: float = math.inf) -> Any:
    """Decode JSON that somebody else wrote. ``widest``: how many members an object and elements an array may have.

    Raises InvalidBody with the codes ``invalid_utf8``, ``invalid_json``, ``too_deep``, ``duplicate_member``, ``length`` or
    ``format`` (a lone surrogate, which no UTF-8 text can hold).
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse("invalid_utf8", f"Byte {error.start + 1} is not UTF-8.")
    if text.startswith("\ufeff"):
        _refuse("invalid_json", "Line 1, column 1: a byte order mark is not allowed.")
    duplicates = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal duplicates
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        duplicates = True
        times = Counter(name for name, _ in pairs)
        twice = DuplicateKeys(found)
        twice.names = tuple(name for name in found if times[name] > 1)
        return twice

    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        _refuse("invalid_json", f"Line {error.lineno}, column {error.colno}: {_EXPLAINED.get(error.msg, 'not valid JSON')}.")
    except RecursionError:
        _refuse("too_deep", f"More than {MAX_DEPTH} levels.")
    except ValueError as error:
        _refuse("invalid_json", str(error) if isinstance(error, _ConstantError) else "A number has too many digits.")
    surrogates = re.search(r"\\u[dD][89a-fA-F]", text) is not None
    if problems := tuple(_Inspection(duplicates, surrogates, widest).faults(value)):
        raise InvalidBody(problems)
    return value


class _ConstantError(ValueError):
    pass


def _no_constant(name: str) -> NoReturn:
    raise _ConstantError(f"{name} is not a JSON number.")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _ConstantError("A number is too large.")
    return number


def _refuse(code: str, message: str) -> NoReturn:
    raise InvalidBody([Problem(code, message)])


_EXPLAINED = {
    "Expecting value": "a value was expected",
    "Expecting ',' delimiter": "a comma or a closing bracket was expected",
    "Expecting ':' delimiter": "a colon was expected",
    "Expecting property name enclosed in double quotes": "a member name in double quotes was expected",
    "Illegal trailing comma before end of object": "a comma may not end an object",
    "Illegal trailing comma before end of array": "a comma may not end an array",
    "Extra data": "more text follows the value",
    "Unterminated string starting at": "a string begins that never ends",
    "Invalid control character at": "a control character must be escaped",
    "Invalid \\escape": "not a valid escape",
    "Invalid \\uXXXX escape": "not a valid escape",
}


class _Inspection(Struct, frozen=True):
    """Finds what the parser lets through: nesting and width beyond the limit, members twice, lone surrogates.

    ``duplicates`` and ``surrogates`` say whether there can be any.
    """

    duplicates: bool
    surrogates: bool
    widest: float

    @property
    def suspects(self) -> tuple[type, ...]:
        """The types of values in which there can be a fault; most have none of them, and need not be looked into."""
        return (dict, list, str) if self.surrogates else (dict, list)

    def faults(self, value: object, at: tuple[str | int, ...] = ()) -> Iterator[Problem]:
        """Yield the faults of a value at a place."""
        if isinstance(value, str):
            if self.surrogates and not _encodable(value):
                yield Problem("format", "Holds half of a surrogate pair.", pointer(at))
        elif not isinstance(value, (dict, list)):
            return
        elif len(at) >= MAX_DEPTH:
            yield Problem("too_deep", f"More than {MAX_DEPTH} levels.", pointer(at))
        elif len(value) > self.widest:
            kind = "elements" if isinstance(value, list) else "members"
            yield Problem("length", f"At most {self.widest} {kind}.", pointer(at))
        elif isinstance(value, list):
            suspects = self.suspects
            for index, element in enumerate(value):
                if isinstance(element, suspects):
                    yield from self.faults(element, (*at, index))
        else:
            yield from self._faults_of_object(value, at)

    def _faults_of_object(self, value: dict[str, object], at: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.duplicates and isinstance(value, DuplicateKeys):
            for name in value.names:
                yield Problem("duplicate_member", "Named more than once.", pointer((*at, name)))
        suspects = self.suspects
        for name, member in value.items():
            if self.surrogates and not _encodable(name):
                yield Problem("format", "A member name holds half of a surrogate pair.", pointer(at))
            elif isinstance(member, suspects):
                yield from self.faults(member, (*at, name))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
