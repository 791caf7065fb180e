"""Lucene's query language, parsed by luqum, as criteria. What can't be carried out is refused by its place.

``field:value``, ``field:[a TO b]``, ``field:>=x``, ``AND OR NOT + - ( )``, quotes, ``*`` and ``?``; a word without field is
looked for in the content. Terms side by side are alternatives, as in Lucene, unless one of them has a ``+``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Final, Literal

from luqum import tree
from luqum.exceptions import ParseError

from doorward.sessions.catalogue.criteria import (
    ALL,
    Compared,
    Criterion,
    HasValue,
    InNetwork,
    Like,
    Says,
    Without,
    Words,
    all_of,
    any_of,
    joined,
)
from doorward.sessions.catalogue.fields import FIELDS, Field, FieldKind, ValueUnfitError, value_of
from doorward.sessions.catalogue.lucene import parse

MAX_QUERY: Final = 4096
"""Characters of a query."""
MAX_TERMS: Final = 100
MAX_DEPTH: Final = 40
_MAX_NETWORK_TEXT = 64

_POSITION = re.compile(r"position (\d+)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WILD = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
_Operator = Literal["<", "<=", ">", ">="]
_OPERATORS = {"&&": "AND", "||": "OR", "!": "NOT"}


class QueryRefusedError(Exception):
    """A query that can't be carried out. ``position`` counts characters from 0; None: nowhere in particular."""

    def __init__(self, code: str, message: str, position: int | None = None) -> None:
        self.code, self.message, self.position = code, message, position
        super().__init__(message)


@dataclass(slots=True)
class Query:
    """A query as a criterion. ``words``: what is looked for in the content, without what is excluded."""

    criterion: Criterion = ALL
    words: list[Words] = field(default_factory=list)


def parsed(text: str, zone: tzinfo = UTC, *, has_fields: bool = True) -> Query:
    """Return what a query asks for. Times without zone are of ``zone``. Raises QueryRefusedError.

    ``has_fields`` False: there is content only, so that naming a field is an error.
    """
    if len(text) > MAX_QUERY:
        raise QueryRefusedError("length", f"A query has at most {MAX_QUERY} characters.")
    if not text.strip() or text.strip() in {"*", "*:*"}:
        return Query()
    try:
        root = parse(text)
    except ParseError as error:
        found = _POSITION.search(str(error))
        position = int(found[1]) if found else len(text)
        where = f"at character {position + 1}" if position < len(text) else "at the end"
        raise QueryRefusedError("syntax", f"The query can't be understood {where}.", position) from None
    except RecursionError:
        raise QueryRefusedError("too_deep", "The query is nested too deeply.") from None
    _bound(root)
    translation = _Translation(zone, has_fields=has_fields)
    translation.query.criterion = translation.of(root, None, wanted=True)
    return translation.query


def _bound(root: tree.Item) -> None:
    """Refuse a query of too many parts, without recursion."""
    terms, todo = 0, [(root, 1)]
    while todo:
        item, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise QueryRefusedError("too_deep", "The query is nested too deeply.", item.pos)
        terms += isinstance(item, tree.Term)
        todo += [(child, depth + 1) for child in item.children]
    if terms > MAX_TERMS:
        raise QueryRefusedError("too_many", f"A query has at most {MAX_TERMS} terms.")


class _Translation:
    def __init__(self, zone: tzinfo, *, has_fields: bool) -> None:
        self.query = Query()
        self._zone, self._has_fields = zone, has_fields

    def of(self, item: tree.Item, of_field: Field | None, *, wanted: bool) -> Criterion:  # noqa: PLR0911, C901 - the grammar
        """Return the criterion of a part; ``wanted`` False: it is excluded, so that its words are no hits."""
        match item:
            case tree.AndOperation():
                return all_of(self.of(child, of_field, wanted=wanted) for child in item.children)
            case tree.OrOperation():
                return any_of(self.of(child, of_field, wanted=wanted) for child in item.children)
            case tree.UnknownOperation():
                return self._side_by_side(item, of_field, wanted=wanted)
            case tree.Not() | tree.Prohibit():
                return Without(self.of(item.a, of_field, wanted=not wanted))
            case tree.Plus():
                return self.of(item.a, of_field, wanted=wanted)
            case tree.Group() | tree.FieldGroup():
                return self.of(item.expr, of_field, wanted=wanted)
            case tree.Boost():  # there is no ranking that it could change
                return self.of(item.expr, of_field, wanted=wanted)
            case tree.SearchField():
                return self._field(item, of_field, wanted=wanted)
            case _ if of_field is not None:
                return self._compared(item, of_field)
            case _:
                words = _words(item)
                if wanted:
                    self.query.words.append(words)
                return Says(words)

    def _side_by_side(self, item: tree.UnknownOperation, of_field: Field | None, *, wanted: bool) -> Criterion:
        must, may, must_not = [], [], []
        for child in item.children:
            if isinstance(child, tree.Plus):
                must.append(self.of(child, of_field, wanted=wanted))
            elif isinstance(child, (tree.Not, tree.Prohibit)):
                must_not.append(self.of(child, of_field, wanted=wanted))
            else:
                may.append(self.of(child, of_field, wanted=wanted))
        required = must or ([any_of(may)] if may else [])
        return all_of([*required, *must_not])

    def _field(self, item: tree.SearchField, of_field: Field | None, *, wanted: bool) -> Criterion:
        if of_field is not None:
            raise QueryRefusedError("syntax", "A field can't stand in a field; quote a value with a colon in it.", item.pos)
        if not self._has_fields:
            raise QueryRefusedError("unknown_field", "Only words can be looked for here.", item.pos)
        name = _ESCAPED.sub(r"\1", item.name)
        found = FIELDS.get(name)
        if found is None:
            raise QueryRefusedError("unknown_field", f"There is no field {name[:60]}. {fields_sentence()}", item.pos)
        return self.of(item.expr, found, wanted=wanted)

    # Fields

    def _compared(self, item: tree.Item, of_field: Field) -> Criterion:
        match item:
            case tree.Word():
                return self._word(item, of_field)
            case tree.Phrase():
                return self._equal(item, of_field, _ESCAPED.sub(r"\1", item.value[1:-1]))
            case tree.Range():
                low = self._bound_of(item.low, of_field, ">=" if item.include_low else ">", upper=not item.include_low)
                high = self._bound_of(item.high, of_field, "<=" if item.include_high else "<", upper=item.include_high)
                return joined(low, high)
            case tree.From():
                return self._bound_of(item.a, of_field, ">=" if item.include else ">", upper=not item.include)
            case tree.To():
                return self._bound_of(item.a, of_field, "<=" if item.include else "<", upper=item.include)
            case _:
                raise QueryRefusedError("not_supported", f"{_what(item)} can't be used with a field.", item.pos)

    def _word(self, item: tree.Word, of_field: Field) -> Criterion:
        text = item.value
        if text == "*":
            return HasValue(of_field)
        if not _WILD.search(text):
            return self._equal(item, of_field, _ESCAPED.sub(r"\1", text))
        if of_field.kind not in {FieldKind.TEXT, FieldKind.ADDRESS}:
            raise QueryRefusedError("not_supported", f"{of_field.name} takes no wildcards.", item.pos)
        return Like(of_field, _like(text))

    def _equal(self, item: tree.Item, of_field: Field, text: str) -> Criterion:
        if of_field.kind is FieldKind.ADDRESS and "/" in text:
            try:
                network = ipaddress.ip_network(text[:_MAX_NETWORK_TEXT], strict=False)
            except ValueError:
                raise QueryRefusedError("format", "That is no network.", item.pos) from None
            return InNetwork(of_field, str(network))
        value = self._value(item, of_field, text)
        if of_field.kind is FieldKind.TIME:
            until = self._value(item, of_field, text, upper=True)
            return joined(Compared(of_field, ">=", value), Compared(of_field, "<=", until))
        return Compared(of_field, "=", value)

    def _bound_of(self, item: tree.Item, of_field: Field, operator: _Operator, *, upper: bool) -> Criterion:
        sign = "-" if isinstance(item, tree.Prohibit) else ""
        inner = item.a if isinstance(item, tree.Prohibit) else item
        if not isinstance(inner, (tree.Word, tree.Phrase)):
            raise QueryRefusedError("syntax", "A range goes from one value to another.", item.pos)
        text = inner.value[1:-1] if isinstance(inner, tree.Phrase) else inner.value
        if text == "*":
            return ALL
        if of_field.kind in {FieldKind.FLAG, FieldKind.ADDRESS}:
            raise QueryRefusedError("not_supported", f"{of_field.name} takes no ranges.", item.pos)
        value = self._value(item, of_field, sign + _ESCAPED.sub(r"\1", text), upper=upper)
        return Compared(of_field, operator, value)

    def _value(self, item: tree.Item, of_field: Field, text: str, *, upper: bool = False) -> int | str:
        try:
            return value_of(of_field, text, self._zone, upper=upper)
        except ValueUnfitError as error:
            raise QueryRefusedError("format", f"The value of {of_field.name} {error}.", item.pos) from None


def fields_sentence() -> str:
    """Return a sentence that names all fields."""
    return f"Fields are {', '.join(FIELDS)}."


def _like(text: str) -> str:
    """Return a text with wildcards as a pattern of LIKE, escaped by a backslash."""
    return "".join(_like_parts(text))


def _like_parts(text: str) -> Iterator[str]:
    letters = iter(text)
    for letter in letters:
        if letter == "*":
            yield "%"
        elif letter == "?":
            yield "_"
        else:
            plain = next(letters, "\\") if letter == "\\" else letter
            yield f"\\{plain}" if plain in "%_\\" else plain


# Content


def _words(item: tree.Item) -> Words:
    """Return what is looked for in the content."""
    match item:
        case tree.Word():
            return _of_word(item)
        case tree.Phrase():
            return Words((_ESCAPED.sub(r"\1", item.value[1:-1]),))
        case tree.Proximity(term=tree.Phrase() as phrase):
            words = _ESCAPED.sub(r"\1", phrase.value[1:-1]).split()
            if len(words) < 2:  # noqa: PLR2004 - near to what?
                return Words((" ".join(words),))
            return Words(tuple(words), distance=min(int(item.degree), 1000))
        case _:
            raise QueryRefusedError("not_supported", f"{_what(item)} can't be looked for in the content.", item.pos)


def _of_word(item: tree.Word) -> Words:
    text = item.value
    if text in _OPERATORS or text.startswith("!"):
        operator = _OPERATORS[text if text in _OPERATORS else "!"]
        raise QueryRefusedError("not_supported", f"Write {operator}.", item.pos)
    if not _WILD.search(text):
        return Words((_ESCAPED.sub(r"\1", text),))
    body = text[:-1]
    if not text.endswith("*") or _WILD.search(body) or not body:
        message = "In the content a wildcard can only be a * at the end of a word."
        raise QueryRefusedError("not_supported", message, item.pos)
    return Words((_ESCAPED.sub(r"\1", body),), is_beginning=True)


_NAMES = {
    "Fuzzy": "A fuzzy word (~)",
    "Proximity": "A distance (~)",
    "Regex": "A regular expression (put a path into quotes)",
    "Range": "A range",
    "From": "A range",
    "To": "A range",
}


def _what(item: tree.Item) -> str:
    return _NAMES.get(type(item).__name__, "This")
