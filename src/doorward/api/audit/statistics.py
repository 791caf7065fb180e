"""``stats`` and ``histogram`` of sessions: the most frequent values of a field, and how many there were when."""

from __future__ import annotations

from typing import Any, Final

from doorward.api import errors
from doorward.api.audit import central
from doorward.api.audit.parameters import FILTERS, field_of, inner_field_of
from doorward.api.audit.service import Audited
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, answer_schema, envelope
from doorward.sessions.catalogue.fields import Field, FieldKind
from doorward.sessions.catalogue.results import BINS

MAX_VALUES: Final = 500
_DEFAULT_VALUES = 10
_FIELD = {"type": "string", "description": "Name of a field."}
_BODY = {"type": "object"}


class Statistics(Audited):
    """The most frequent values of a field."""

    operations = {
        "GET": Operation(
            "The most frequent values of a field.",
            answer_schema(body=_BODY, key={"type": "string"}),
            errors=(400,),
            query={
                **FILTERS,
                "field": _FIELD,
                "sub_fields": {"type": "string", "description": "A field whose values are counted within each; the first one."},
                "size": {"type": "integer", "minimum": 1, "maximum": MAX_VALUES, "default": _DEFAULT_VALUES},
            },
        )
    }

    async def get(self, request: Request) -> Response:
        """Count within what the caller may see."""
        field, inner = field_of(request), inner_field_of(request)
        size = _size(request)
        named = inner.name if inner else None
        found, away = await self.service.look(request, central.frequent, self.service, request, field.name, size, named)
        values: list[dict[str, Any]] = []
        for value, count, within in found.values:
            told: dict[str, Any] = {"count": count, "value": value}
            if inner is not None:
                told["sub_fields"] = {inner.name: [{"count": n, "value": v} for v, n in within]}
            values.append(told)
        matching = sum(n for _, n, _ in found.values) + found.others
        body = {"field": field.name, "match_count": matching, "other_count": found.others, "values": values}
        return envelope(request, "stats", body, **central.warnings(away))


def _size(request: Request) -> int:
    text = request.query.get("size", str(_DEFAULT_VALUES))
    if text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MAX_VALUES:  # noqa: PLR2004 - it fits
        return int(text)
    raise errors.invalid_query([("range", f"Must be a number from 1 to {MAX_VALUES}.", "size")])


class Histogram(Audited):
    """How many sessions have which times or numbers."""

    operations = {
        "GET": Operation(
            "How many sessions there are in each span of time, or of numbers.",
            answer_schema(body=_BODY, key={"type": "string"}),
            errors=(400,),
            query={
                **FILTERS,
                "field": _FIELD,
                "bin-size": {
                    "type": "string",
                    "default": "hour",
                    "description": f"For times: {', '.join(BINS)}, in the time zone of the node. For numbers: how wide a bin is.",
                },
            },
            description="Empty bins are left out.",
        )
    }

    async def get(self, request: Request) -> Response:
        """Count within what the caller may see."""
        field = field_of(request)
        width = request.query.get("bin-size", "hour" if field.kind is FieldKind.TIME else "1")
        _check(field, width)
        found, away = await self.service.look(request, central.bins, self.service, request, field.name, width)
        bins = [{"count": n, "start": start} for start, n in found]
        body = {"bin_size": width, "bins": bins, "field": field.name}
        return envelope(request, "histogram", body, **central.warnings(away))


def _check(field: Field, width: str) -> None:
    """Refuse a field that has no order, and a width that is none."""
    if field.kind not in {FieldKind.TIME, FieldKind.NUMBER}:
        raise errors.invalid_query([("enum", "Must be a field of times or numbers.", "field")])
    if field.kind is FieldKind.TIME and width not in BINS:
        raise errors.invalid_query([("enum", f"Must be one of {', '.join(BINS)}.", "bin-size")])
    is_number = width.isascii() and width.isdecimal() and len(width) < 10 and int(width) >= 1  # noqa: PLR2004 - it fits
    if field.kind is FieldKind.NUMBER and not is_number:
        raise errors.invalid_query([("range", "Must be a number of at least 1.", "bin-size")])
