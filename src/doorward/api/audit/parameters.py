"""What a request for sessions asks for, by its query parameters; all that is wrong with them is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct, field

from doorward.api import errors
from doorward.api.audit.service import refused_query
from doorward.api.request import Request
from doorward.sessions.catalogue.criteria import Criterion, joined
from doorward.sessions.catalogue.fields import FIELDS, Field, ValueUnfitError
from doorward.sessions.catalogue.filters import TIMES, WORDS, time_criterion, word_criterion
from doorward.sessions.catalogue.query import QueryRefusedError, fields_sentence
from doorward.sessions.catalogue.results import SortOrder

MAX_LIMIT: Final = 500
MAX_REACHED: Final = 10_000
"""Nothing is shown beyond so many."""

FILTERS: Mapping[str, Mapping[str, Any]] = {
    "q": {"type": "string", "maxLength": 4096, "description": "Lucene query over the fields; words without field are content."},
    "content": {"type": "string", "maxLength": 4096, "description": "Lucene query over the content alone."},
    "start": {"type": "string", "description": "Begun at this time or later (ISO 8601)."},
    "end": {"type": "string", "description": "Ended at this time or earlier (ISO 8601)."},
}
PAGES: Mapping[str, Mapping[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": MAX_LIMIT},
    "offset": {"type": "integer", "minimum": 0, "default": 0},
}
LISTED: Mapping[str, Mapping[str, Any]] = {
    **FILTERS,
    "fields": {"type": "string", "description": "Members of the bodies, by commas; * is all. Without: keys alone."},
    "sort": {"type": "string", "description": "Up to three fields, by commas; with - before it, descending."},
    **PAGES,
    "format": {"type": "string", "enum": ["json", "csv"], "default": "json"},
    "snapshot": {"type": "string", "description": "Pages through the result as it was; see _snapshot."},
}
"""What the OpenAPI document says of the parameters of lists."""

_MAX_SORTED = 3
_REPEATED: Final[tuple[str, ...]] = ("q", "content", "start", "end", "sort", "format", "snapshot")
_FIRST_FIELDS = frozenset(name.split(".")[0] for name in FIELDS) | {"alerts", "analytics", "channels", "events", "indexing"}


class Page(Struct, frozen=True):
    """A part of a list."""

    limit: int = MAX_LIMIT
    offset: int = 0


class ListRequest(Struct, frozen=True):
    """What a list is asked for. ``given``: parameters that each page repeats."""

    criterion: Criterion
    order: SortOrder
    page: Page
    fields: tuple[str, ...]
    is_csv: bool
    snapshot: str | None
    given: Mapping[str, str] = field(default_factory=dict)

    def path(self, href: str, offset: int) -> str:
        """Return the path of another page, with everything that it needs."""
        pairs = {"limit": str(self.page.limit), "offset": str(offset), "fields": ",".join(self.fields), **self.given}
        return href + "?" + "&".join(f"{name}={quote(value, safe='*,:._-')}" for name, value in pairs.items())

    @property
    def query(self) -> str:
        """What a result depends on, but for the page of it."""
        names = ("q", "content", "start", "end", "sort")
        return repr([(name, self.given.get(name)) for name in names])


class _Problems:
    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []

    def add(self, parameter: str, code: str, message: str) -> None:
        self.found.append((code, message, parameter))

    def raise_if_any(self) -> None:
        if self.found:
            raise errors.invalid_query(self.found)


def page_of(request: Request, most: int = MAX_LIMIT) -> Page:
    """Return the page of a list that is asked for. Raises 400."""
    problems = _Problems()
    found = _page(request, problems, most)
    problems.raise_if_any()
    return found


def _page(request: Request, problems: _Problems, most: int) -> Page:
    limit = _number(request, problems, "limit", most, 1, most)
    offset = _number(request, problems, "offset", 0, 0, MAX_REACHED)
    if offset + limit > MAX_REACHED and request.query.get("snapshot") is None:
        if offset >= MAX_REACHED:
            problems.add("offset", "range", f"Nothing is shown beyond {MAX_REACHED}; narrow the search, or use a snapshot.")
        limit = max(1, MAX_REACHED - offset)
    return Page(limit, offset)


def _number(request: Request, problems: _Problems, name: str, default: int, least: int, most: int) -> int:
    text = request.query.get(name, str(default))
    most = 1_000_000 if name == "offset" else most
    if text.isascii() and text.isdecimal() and len(text) < 8 and least <= int(text) <= most:  # noqa: PLR2004 - it fits
        return int(text)
    problems.add(name, "range", f"Must be a number from {least} to {most}.")
    return default


def list_request(request: Request, zone: tzinfo) -> ListRequest:
    """Return what a list is asked for. Raises 400."""
    problems = _Problems()
    query = request.query
    form = query.get("format", "json")
    if form not in {"json", "csv"}:
        problems.add("format", "enum", "Must be json or csv.")
    page = _page(request, problems, MAX_REACHED if form == "csv" else MAX_LIMIT)
    order = _order(query.get("sort", ""), problems)
    fields = _fields(query.get("fields", ""), problems)
    dates = _dates(request, zone, problems)
    problems.raise_if_any()
    given = {name: query[name] for name in _REPEATED if name in query}
    return ListRequest(
        criterion=joined(dates, words_of(request, zone)),
        order=order,
        page=page,
        fields=fields,
        is_csv=form == "csv",
        snapshot=query.get("snapshot"),
        given=given,
    )


def filter_of(request: Request, zone: tzinfo) -> Criterion:
    """Return which sessions are asked for, by ``q``, ``content``, ``start`` and ``end``. Raises 400."""
    problems = _Problems()
    dates = _dates(request, zone, problems)
    problems.raise_if_any()
    return joined(dates, words_of(request, zone))


def words_of(request: Request, zone: tzinfo) -> Criterion:
    """Return what ``q`` and ``content`` ask for. Raises 400."""
    found = []
    for name in WORDS:
        try:
            found.append(word_criterion(name, request.query.get(name, ""), zone))
        except QueryRefusedError as error:
            raise refused_query(name, error) from None
    return joined(*found)


def _dates(request: Request, zone: tzinfo, problems: _Problems) -> Criterion:
    found = []
    for name in TIMES:
        text = request.query.get(name, "")
        if not text:
            continue
        try:
            found.append(time_criterion(name, text, zone))
        except ValueUnfitError as error:
            problems.add(name, "format", f"This {error}.")
    return joined(*found)


def _order(text: str, problems: _Problems) -> SortOrder:
    found: list[tuple[Field, bool]] = []
    for part in [part for part in text.split(",") if part.strip()]:
        name = part.strip()
        of_field = FIELDS.get(name.removeprefix("-"))
        if of_field is None:
            problems.add("sort", "unknown_field", f"There is no field {name[:60]}. {fields_sentence()}")
            continue
        found.append((of_field, name.startswith("-")))
    if len(found) > _MAX_SORTED:
        problems.add("sort", "too_many", f"A list is sorted by at most {_MAX_SORTED} fields.")
    return SortOrder(tuple(found[:_MAX_SORTED]))


def _fields(text: str, problems: _Problems) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name != "*" and name.split(".")[0] not in _FIRST_FIELDS | {"recording", "trail_download_link"}:
            problems.add("fields", "unknown_field", f"There is no field {name[:60]}. {fields_sentence()}")
    return tuple(dict.fromkeys(name.removesuffix(".*") for name in names))


def inner_field_of(request: Request) -> Field | None:
    """Return the first of the fields that are counted within another, where one is named. Raises 400."""
    return field_of(request, "sub_fields") if _field_name(request, "sub_fields") else None


def _field_name(request: Request, parameter: str) -> str:
    return request.query.get(parameter, "").split(",")[0].strip()


def field_of(request: Request, parameter: str = "field") -> Field:
    """Return the field that a parameter names. Raises 400."""
    name = _field_name(request, parameter)
    if name not in FIELDS:
        code = "unknown_field" if name else "missing"
        raise errors.invalid_query([(code, f"Name a field. {fields_sentence()}", parameter)])
    return FIELDS[name]
