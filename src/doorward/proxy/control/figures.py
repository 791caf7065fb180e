"""Figures of sessions and workers, for health and metrics."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class WorkerFigures(Struct, frozen=True):
    """One worker. ``memory``: bytes; ``lag``: milliseconds by which its recording is behind."""

    sessions: int
    memory: int
    lag: int


class Figures(Struct, frozen=True):
    """How sessions are doing at a moment. Bytes are those of running sessions, from servers and from clients."""

    sessions: int = 0
    before_login: int = 0
    channels: int = 0
    down: int = 0
    up: int = 0
    workers: Mapping[str, WorkerFigures] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    """Connections that became no session since the start, by reason."""
    events: Mapping[str, int] = field(default_factory=dict)
    """Events of sessions since the start, by name."""
