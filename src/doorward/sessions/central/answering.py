"""Answers questions about the sessions of this node, within what the audience of a question may see."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from doorward.sessions.audience import Audience
from doorward.sessions.catalogue.criteria import ALL, Criterion, UpTo, joined
from doorward.sessions.catalogue.fields import FIELDS, Field, FieldKind
from doorward.sessions.catalogue.filters import TIMES, WORDS, time_criterion, word_criterion
from doorward.sessions.catalogue.port import READ_SECONDS, SessionCatalogue, SessionLook
from doorward.sessions.catalogue.results import BINS, Found, Frequent, ItemRange, SortOrder
from doorward.sessions.central.questions import (
    MAX_REACHED,
    BinsQuestion,
    CountQuestion,
    DownloadNote,
    Filter,
    FoundRow,
    FrequentQuestion,
    Hits,
    HitsQuestion,
    Items,
    ItemsQuestion,
    LastQuestion,
    PageAnswer,
    PageQuestion,
    RowsQuestion,
    SearchQuestion,
    SessionQuestion,
    TrailPieceQuestion,
    TrailSizeQuestion,
)
from doorward.sessions.trails import Trails
from doorward.tree.times import zone_named

A = TypeVar("A")


class NoSessionError(Exception):
    """There is no such session, or none that the audience may see."""


class UnknownFieldError(Exception):
    """A field that does not exist here, or that has no such bins."""


class LocalSessions(Struct, frozen=True):
    """The sessions of this node. Blocks."""

    catalogue: SessionCatalogue
    trails: Trails
    seconds: float = READ_SECONDS
    """How long a look through the catalogue may take."""
    within: Criterion = ALL
    """Which sessions it answers about; where nodes share a catalogue, some of them are another's to tell of."""

    def answer(self, audience: Audience, question: SearchQuestion[A]) -> A:
        """Answer a question.

        Raises NoSessionError, UnknownFieldError, QueryRefusedError, ValueUnfitError, TooSlowError, TooManyBinsError,
        TrailMissingError, CatalogueUnavailableError, OSError.
        """
        if isinstance(question, DownloadNote):
            return self._note(audience, question)  # type: ignore[return-value] # its answer is a bool
        with self.catalogue.looking(self.seconds) as look:
            found: A = _ANSWERS[type(question)](_Answering(self, look, audience), question)
            return found

    def _note(self, audience: Audience, note: DownloadNote) -> bool:
        with self.catalogue.looking(self.seconds) as look:
            _Answering(self, look, audience).session(note.key)
        asyncio.run(self.catalogue.downloaded(note.key, note.download))
        return True


class _Answering(Struct, frozen=True):
    """One look through the catalogue."""

    local: LocalSessions
    look: SessionLook
    audience: Audience

    def criterion(self, asked: Filter) -> Criterion:
        zone = zone_named(asked.zone)
        times = [time_criterion(name, getattr(asked, name), zone) for name in TIMES if getattr(asked, name)]
        words = [word_criterion(name, getattr(asked, name), zone) for name in WORDS]
        until = [] if asked.last is None else [UpTo(asked.last)]
        return joined(*times, *words, *until, self.visible)

    @property
    def visible(self) -> Criterion:
        return joined(self.local.within, self.audience.criterion())

    def session(self, key: str) -> Found:
        found = self.look.one(key, self.visible)
        if found is None:
            raise NoSessionError(key)
        return found

    def page(self, asked: PageQuestion) -> PageAnswer:
        criterion = self.criterion(asked.filter)
        order = SortOrder(tuple((_field(name.removeprefix("-")), name.startswith("-")) for name in asked.sort))
        rows = self.look.ordered(criterion, order, asked.limit)
        matching = len(rows) if len(rows) < asked.limit else self.look.count(criterion)
        return PageAnswer(matching, [number for number, *_ in rows], [values for _, *values in rows])

    def rows(self, asked: RowsQuestion) -> list[FoundRow]:
        return [_found_row(one) for one in self.look.rows(asked.ids, self.visible)]

    def one(self, asked: SessionQuestion) -> list[FoundRow]:
        found = self.look.one(asked.key, self.visible)
        return [] if found is None else [_found_row(found)]

    def count(self, asked: CountQuestion) -> int:
        return self.look.count(self.criterion(asked.filter))

    def frequent(self, asked: FrequentQuestion) -> Frequent:
        inner = None if asked.inner is None else _field(asked.inner)
        return self.look.frequent(self.criterion(asked.filter), _field(asked.field), asked.size, inner)

    def bins(self, asked: BinsQuestion) -> list[tuple[str | int, int]]:
        field, criterion = _field(asked.field), self.criterion(asked.filter)
        if field.kind is FieldKind.TIME and asked.width in BINS:
            found = self.look.times(criterion, field, asked.width, zone_named(asked.filter.zone))
            return [(at.isoformat(), n) for at, n in found]
        if field.kind is FieldKind.NUMBER and asked.width.isascii() and asked.width.isdecimal() and int(asked.width):
            return [(at, n) for at, n in self.look.numbers(criterion, field, int(asked.width))]
        raise UnknownFieldError(asked.field)

    def last(self, _asked: LastQuestion) -> int:
        return self.look.last()

    def items(self, asked: ItemsQuestion) -> Items:
        session, part = self.session(asked.key).id, ItemRange(asked.limit, asked.offset, asked.number)
        if asked.kind == "channels":
            channels, matching = self.look.channels(session, part)
            return Items(matching=matching, channels=channels)
        if asked.kind == "downloads":
            downloads, matching = self.look.downloads(session, part)
            return Items(matching=matching, downloads=downloads)
        if asked.kind == "alerts":
            alerts, matching = self.look.alerts(session, part)
            return Items(matching=matching, alerts=alerts)
        events, matching = self.look.events(session, part)
        return Items(matching=matching, events=events)

    def hits(self, asked: HitsQuestion) -> Hits:
        found = self.look.hits(self.session(asked.key).id, asked.q, zone_named(asked.zone))
        shown = list(islice(found, asked.offset, asked.offset + asked.limit))
        if not shown:
            return Hits(asked.offset, [])
        # The rest is counted, up to what can be shown.
        more = sum(1 for _ in islice(found, max(0, MAX_REACHED - asked.offset - len(shown))))
        return Hits(asked.offset + len(shown) + more, shown)

    def trail_size(self, asked: TrailSizeQuestion) -> int:
        with self.local.trails.open(self.session(asked.key).row) as file:
            return os.fstat(file.fileno()).st_size

    def trail_piece(self, asked: TrailPieceQuestion) -> bytes:
        with self.local.trails.open(self.session(asked.key).row) as file:
            return os.pread(file.fileno(), asked.size, asked.offset)


_ANSWERS: Final[Mapping[type[Any], Callable[[_Answering, Any], Any]]] = {
    BinsQuestion: _Answering.bins,
    CountQuestion: _Answering.count,
    FrequentQuestion: _Answering.frequent,
    HitsQuestion: _Answering.hits,
    ItemsQuestion: _Answering.items,
    LastQuestion: _Answering.last,
    PageQuestion: _Answering.page,
    RowsQuestion: _Answering.rows,
    SessionQuestion: _Answering.one,
    TrailPieceQuestion: _Answering.trail_piece,
    TrailSizeQuestion: _Answering.trail_size,
}


def _found_row(found: Found) -> FoundRow:
    return FoundRow(found.id, structs.replace(found.row, extra={}), found.has_commands, found.has_titles)


def _field(name: str) -> Field:
    if name not in FIELDS:
        raise UnknownFieldError(name)
    return FIELDS[name]
