"""What is asked about the sessions of a node, and the shapes of the answers. Plain values, which travel between nodes as JSON.

Who asks travels along (`Audience`), so that a node never shows more than the account may see. Numbers of rows are bounded here;
what an answer holds is looked at by `untrusted`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from doorward.sessions.audience import Audience
from doorward.sessions.catalogue.results import Frequent, Hit
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, DownloadRow, EventRow, SessionRow
from doorward.tree.jsontext import prepared

MAX_ROWS: Final = 500
"""Sessions, channels, events and hits that one answer has, at most."""
MAX_WHOLE: Final = 100_000
"""Sessions of one node in a result that stays as it is."""
MAX_PIECE: Final = 1 << 20
"""Bytes of a trail in one answer."""
MAX_REACHED: Final = 10_000
"""How many items of a list are gone past."""

Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9]{21}$")]
_Query = Annotated[str, msgspec.Meta(max_length=4096)]
_Moment = Annotated[str, msgspec.Meta(max_length=64)]
_Name = Annotated[str, msgspec.Meta(max_length=64)]
_Id = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
_Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=MAX_REACHED)]
Value = int | Annotated[str, msgspec.Meta(max_length=4096)] | None
"""What a list is sorted by."""

A = TypeVar("A")


@prepared
class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which sessions: parameters of ``/api/audit/sessions`` as they came. ``last``: none with a greater id."""

    q: _Query = ""
    content: _Query = ""
    start: _Moment = ""
    end: _Moment = ""
    zone: _Name = "UTC"
    last: _Id | None = None


class SearchQuestion(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """A question with an answer of one type."""


class PageAnswer(msgspec.Struct, frozen=True):
    """Ids of sessions in order, each with the values that it was sorted by; ``matching``: how many there are in all."""

    matching: _Count
    ids: Annotated[list[_Id], msgspec.Meta(max_length=MAX_WHOLE)]
    values: Annotated[list[Annotated[list[Value], msgspec.Meta(max_length=3)]], msgspec.Meta(max_length=MAX_WHOLE)]


class PageQuestion(SearchQuestion[PageAnswer], frozen=True, kw_only=True, tag="page"):
    """The first sessions in an order. ``sort``: names of fields, with ``-`` before them descending."""

    filter: Filter
    sort: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=3)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_WHOLE)]


class FoundRow(msgspec.Struct, frozen=True):
    """A session with its id on the node that has it."""

    id: _Id
    row: SessionRow
    has_commands: bool
    has_titles: bool


Rows = Annotated[list[FoundRow], msgspec.Meta(max_length=MAX_ROWS)]


class RowsQuestion(SearchQuestion[list[FoundRow]], frozen=True, kw_only=True, tag="rows"):
    """Sessions by their ids, in that order; those that are gone are left out."""

    ids: Annotated[list[_Id], msgspec.Meta(max_length=MAX_ROWS)]


class SessionQuestion(SearchQuestion[list[FoundRow]], frozen=True, kw_only=True, tag="session"):
    """A session by its key: a list of one, or of none."""

    key: Key


class CountQuestion(SearchQuestion[int], frozen=True, kw_only=True, tag="count"):
    """How many sessions there are."""

    filter: Filter


class FrequentQuestion(SearchQuestion[Frequent], frozen=True, kw_only=True, tag="frequent"):
    """The most frequent values of a field, and of another within each."""

    filter: Filter
    field: _Name
    inner: _Name | None = None
    size: _Limit = MAX_ROWS


Bins = Annotated[list[tuple[Annotated[str, msgspec.Meta(max_length=40)] | int, _Count]], msgspec.Meta(max_length=MAX_REACHED)]


class BinsQuestion(SearchQuestion[list[tuple[str | int, int]]], frozen=True, kw_only=True, tag="bins"):
    """How many sessions there are in each bin of times (ISO 8601) or numbers."""

    filter: Filter
    field: _Name
    width: Annotated[str, msgspec.Meta(max_length=10)]


class LastQuestion(SearchQuestion[int], frozen=True, kw_only=True, tag="last"):
    """The greatest id that there is."""


Kind = Literal["alerts", "channels", "downloads", "events"]


class Items(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What belongs to a session, of one kind; events and alerts with their numbers. ``matching``: how many in all."""

    matching: _Count
    alerts: Annotated[list[tuple[_Count, AlertRow]], msgspec.Meta(max_length=MAX_ROWS)] = []
    channels: Annotated[list[ChannelRow], msgspec.Meta(max_length=MAX_ROWS)] = []
    downloads: Annotated[list[DownloadRow], msgspec.Meta(max_length=MAX_ROWS)] = []
    events: Annotated[list[tuple[_Count, EventRow]], msgspec.Meta(max_length=MAX_ROWS)] = []


class ItemsQuestion(SearchQuestion[Items], frozen=True, kw_only=True, omit_defaults=True, tag="items"):
    """What belongs to a session, from its first on; ``number``: that one alone."""

    key: Key
    kind: Kind
    limit: _Limit = MAX_ROWS
    offset: _Offset = 0
    number: _Count | None = None


class Hits(msgspec.Struct, frozen=True):
    """Where words are in a session; ``matching``: how many places there are, as far as they are counted."""

    matching: _Count
    hits: Annotated[list[Hit], msgspec.Meta(max_length=MAX_ROWS)]


class HitsQuestion(SearchQuestion[Hits], frozen=True, kw_only=True, tag="hits"):
    """Where words are in a session."""

    key: Key
    q: _Query
    zone: _Name = "UTC"
    limit: _Limit = MAX_ROWS
    offset: _Offset = 0


class TrailSizeQuestion(SearchQuestion[int], frozen=True, kw_only=True, tag="trail_size"):
    """How many bytes the trail of a session has."""

    key: Key


class TrailPieceQuestion(SearchQuestion[bytes], frozen=True, kw_only=True, tag="trail_piece"):
    """Bytes of the trail of a session; fewer than ``size`` where it ends. The answer is no JSON."""

    key: Key
    offset: _Count
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_PIECE)]


class DownloadNote(SearchQuestion[bool], frozen=True, kw_only=True, tag="note"):
    """Write down, durably, that somebody gets the content of a session; true: done."""

    key: Key
    download: DownloadRow


AnyQuestion = (
    PageQuestion | RowsQuestion | SessionQuestion | CountQuestion | FrequentQuestion | BinsQuestion | LastQuestion
    | ItemsQuestion | HitsQuestion | TrailSizeQuestion | TrailPieceQuestion | DownloadNote
)  # fmt: skip


@prepared
class SearchCall(msgspec.Struct, frozen=True):
    """A question, and for whom it is asked."""

    audience: Audience
    question: AnyQuestion


DECODERS: Final[Mapping[type[Any], msgspec.json.Decoder[Any]]] = {
    PageQuestion: msgspec.json.Decoder(PageAnswer),
    RowsQuestion: msgspec.json.Decoder(Rows),
    SessionQuestion: msgspec.json.Decoder(Rows),
    CountQuestion: msgspec.json.Decoder(_Count),
    FrequentQuestion: msgspec.json.Decoder(Frequent),
    BinsQuestion: msgspec.json.Decoder(Bins),
    LastQuestion: msgspec.json.Decoder(_Count),
    ItemsQuestion: msgspec.json.Decoder(Items),
    HitsQuestion: msgspec.json.Decoder(Hits),
    TrailSizeQuestion: msgspec.json.Decoder(_Count),
    DownloadNote: msgspec.json.Decoder(bool),
}
"""What reads the answer to a question of each type, but for pieces of trails."""
