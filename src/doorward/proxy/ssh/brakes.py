"""The brakes of a session: why nothing is read from one of its legs at the moment."""

from __future__ import annotations

from doorward.proxy.ssh.legs.leg import Leg


class Brakes:
    """Holds both legs of one session, each for as long as one of the reasons lasts."""

    __slots__ = ("_client", "_holds", "_server")

    def __init__(self, client: Leg, server: Leg) -> None:
        self._client, self._server = client, server
        self._holds = 0

    def hold(self) -> None:
        """Read nothing more from either side."""
        self._holds += 1
        if self._holds == 1:
            self._client.wire.hold("recording")
            self._server.wire.hold("recording")

    def release(self) -> None:
        """Go on, once as often as it was held."""
        self._holds -= 1
        if not self._holds:
            self._client.wire.release("recording")
            self._server.wire.release("recording")

    def stop(self) -> None:
        """Read nothing any more, whatever is released."""
        for leg in (self._client, self._server):
            leg.wire.hold("stopped")

    def congested(self, leg: Leg, full: bool) -> None:  # noqa: FBT001 - a state
        """Let a peer that does not read slow the other one down."""
        other = (self._client if leg is self._server else self._server).wire
        if full:
            other.hold("congested")
        else:
            other.release("congested")

    def exchanging(self) -> None:
        """While one leg exchanges keys nothing is read for it.

        But a leg whose peer takes part in an exchange of its own is always read, or neither exchange would ever end. We begin
        none while the other leg is in one (`KeyExchange.may_begin`).
        """
        for one, other in ((self._client, self._server), (self._server, self._client)):
            if other.keys.is_sending_held and not one.keys.is_peer_in:
                one.wire.hold("exchange")
            else:
                one.wire.release("exchange")
