"""The service of the cluster interface: the channel between nodes by HTTP over pinned TLS, with room for few connections."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from doorward.cluster.channel import ChannelApp
from doorward.listening.http.fields import response_head
from doorward.listening.http.options import Crowded, Errors, HttpOptions
from doorward.listening.http.service import HttpService
from doorward.listening.sources import busiest_source
from doorward.listening.tls import FixedTls, ServerIdentity

HEAD_SECONDS = 10.0
"""How long another node may take for the head of a request."""
MAX_ANONYMOUS, MAX_OF_ONE = 64, 8
"""Connections at one time: without a certificate of all and of one source, each for one attempt to pair, and of one node."""

_FIELDS = [(b"content-type", b"application/json"), (b"connection", b"close")]


def channel_service(channel: ChannelApp) -> HttpService:
    """Return the service of the channel between nodes, with TLS of its own."""
    options = HttpOptions(
        errors=Errors(_malformed, lambda: _error("internal", "An internal error; it is logged.")),
        make_room=make_room,
        head_seconds=HEAD_SECONDS,
        is_hurried=True,
        ending=channel.announce,
    )
    return HttpService(channel, options, FixedTls(ServerIdentity(channel.context, channel.key.fingerprint.hex())))


def make_room(new: Crowded, every: Collection[Crowded]) -> None:
    """End connections where there are too many.

    Of one node that is the new one. Without a certificate they are those of the source that has the most, of the new one's first:
    so a source that keeps all of them takes nobody else's room. Of one source those go first that have asked nothing yet, then
    the oldest.
    """
    others = [one for one in every if one is not new]
    if new.peer is not None:
        if sum(one.peer == new.peer for one in others) >= MAX_OF_ONE:
            new.abort()
        return
    anonymous = [one for one in others if one.peer is None and not one.is_closing]
    anonymous.sort(key=lambda one: (not one.is_asking, one.began))
    own = [one for one in anonymous if one.source == new.source]
    if len(own) >= MAX_OF_ONE:
        own[0].abort()
    elif len(anonymous) >= MAX_ANONYMOUS:
        busiest = busiest_source(one.source for one in anonymous)
        next(one for one in anonymous if one.source == busiest).abort()


def _error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"code": code, "message": message})


def _malformed() -> bytes:
    body = _error("bad_request", "Not HTTP as agreed.")
    return response_head(400, [*_FIELDS, (b"content-length", b"%d" % len(body))]) + body
