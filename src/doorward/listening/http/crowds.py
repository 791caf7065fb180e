"""Which connection goes when there are too many."""

from __future__ import annotations

from collections.abc import Collection

from doorward.listening.http.options import Crowded
from doorward.listening.sources import busiest_source

MAX_CONNECTIONS = 1000
"""Connections that a listener keeps for one service; each takes some 50 kB."""


def limit_connections(_new: Crowded, every: Collection[Crowded]) -> None:
    """End one of the connections of the source that has the most: if possible one that is not in use, for the longest time.

    So who keeps all of them takes nobody else's room.
    """
    if len(every) > MAX_CONNECTIONS:
        busiest = busiest_source(one.source for one in every)
        min((one for one in every if one.source == busiest), key=lambda one: (one.is_unanswered, one.used)).abort()
