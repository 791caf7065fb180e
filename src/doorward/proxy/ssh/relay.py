"""The relay: after both logins every message goes on as it is, channel numbers included, once policy and observer saw it.

Data takes the short way through `message`; what decides about a session is in `openings`, `programs` and `globals`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from struct import Struct

from doorward.proxy.ssh.brakes import Brakes
from doorward.proxy.ssh.globals import Globals
from doorward.proxy.ssh.legs.client_leg import ClientLeg
from doorward.proxy.ssh.legs.leg import Leg
from doorward.proxy.ssh.legs.server_leg import ServerLeg
from doorward.proxy.ssh.openings import Openings
from doorward.proxy.ssh.parking import Parking
from doorward.proxy.ssh.policy import SessionPolicy
from doorward.proxy.ssh.ports import Control, Observer
from doorward.proxy.ssh.programs import Programs
from doorward.proxy.ssh.table import MAX_WINDOW, RESERVE, Channel, Table
from doorward.proxy.ssh.wire.errors import LegError, ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.proxy.ssh.wire.protection import PAYLOAD
from doorward.sessions.rules import SessionSettings

MAX_VIOLATIONS = 10
"""Violations of the protocol that are told of, in a session that goes on in spite of them."""
_DATA = int(Message.CHANNEL_DATA)
_HEAD = 9
_ERROR_HEAD = 13
"""Bytes of a message in front of its data."""
_HEADS = Struct(">BII")


class Relay:
    """Both legs of one session. ``ended`` takes the first leg that is over, with its reason."""

    def __init__(  # noqa: PLR0913 - what a session is made of
        self,
        client: ClientLeg,
        server: ServerLeg,
        *,
        settings: SessionSettings,
        policy: SessionPolicy,
        control: Control,
        observer: Observer,
        ended: Callable[[Leg, LegError], None],
    ) -> None:
        self.client = client
        self.server = server
        self._observer = observer
        self._control = control
        self._ended = ended
        self._is_strict = settings.strict_mode
        self._violations = 0
        self.table = Table()
        self.globals = Globals(client.send, server.send, policy, control)
        self._openings = Openings(self, policy, control, observer, limit=settings.channels)
        self._programs = Programs(self, policy, control, observer)
        self.down = 0
        self.up = 0
        """Bytes of data, from the server and from the client."""
        self.is_active = False
        """Set whenever data goes through; whoever asks for it, `Watch`, takes it back."""
        self._is_locked = False
        self.is_stopped = False
        self.brakes = Brakes(client, server)
        self._parking = Parking(client, self.take)

    def start(self) -> None:
        """Take over both legs, with what came before there was a relay."""
        for leg, other in ((self.client, self.server), (self.server, self.client)):
            leg.keys.may_begin = lambda other=other: not other.keys.is_running  # type: ignore[misc] # bound now, not later
            leg.hand_over(self, self._short_way(down=leg is self.server))
        # What came early was read before the rest; nothing is read in between.
        self.server.drain()
        self.client.drain()

    @contextmanager
    def guard(self, leg: Leg) -> Iterator[None]:
        """Work on something of a leg outside of its turn of reading; a fault ends the leg."""
        try:
            yield
        except LegError as error:
            leg.end(error)

    # --- from the legs ---

    def _short_way(self, *, down: bool) -> Callable[[int, memoryview, int], None]:
        """Make what takes the messages of one leg: data of programs that run goes on at once, all else to `take`.

        One function with what it needs at hand: it runs for every packet.
        """
        leg, other = (self.server, self.client) if down else (self.client, self.server)
        channels = self.table.down if down else self.table.up
        forward, observe, unpack = other.forward, self._observer.data, _HEADS.unpack_from

        def flow(number: int, plain: memoryview, size: int) -> None:
            if number == _DATA:
                _, recipient, length = unpack(plain, PAYLOAD)
                channel = channels.get(recipient)
                if channel is not None and channel.is_running and length + _HEAD == size and not self._is_locked:
                    left = (channel.window_down if down else channel.window_up) - length
                    if left >= 0:
                        if down:
                            channel.window_down = left
                            self.down += length
                        else:
                            channel.window_up = left
                            self.up += length
                        self.is_active = True
                        observe(channel.number, down, 0, plain[PAYLOAD + _HEAD : PAYLOAD + size])
                        # The observer may just have ended the session.
                        if not self.is_stopped:
                            forward(plain, size)
                        return
            self.take(leg, bytes(plain[PAYLOAD : PAYLOAD + size]))

        return flow

    def take(self, leg: Leg, payload: bytes) -> None:
        """Take a message that is not the plain flow of data. One that breaks the rules goes nowhere; strictly, it is the end."""
        try:
            self._take(leg, payload)
        except ProtocolViolationError as error:
            if self._is_strict:
                raise
            self._violations += 1
            if self._violations <= MAX_VIOLATIONS:
                self._control.happened("protocol_violation", {"reason": str(error)})

    def _take(self, leg: Leg, payload: bytes) -> None:
        if self.is_stopped:
            return
        number = payload[0]
        if number <= Message.REQUEST_FAILURE:
            self.globals.take(payload, down=leg is self.server, is_locked=self._is_locked)
        elif number == Message.CHANNEL_OPEN:
            self._openings.take(payload, down=leg is self.server, is_locked=self._is_locked)
        elif Message.CHANNEL_OPEN < number <= Message.CHANNEL_FAILURE:
            self._take_channel(leg, number, payload)
        else:
            leg.send_unimplemented()

    def _take_channel(self, leg: Leg, number: int, payload: bytes) -> None:
        down = leg is self.server
        fields = Fields(payload)
        recipient = fields.uint32()
        if number in {Message.CHANNEL_OPEN_CONFIRMATION, Message.CHANNEL_OPEN_FAILURE}:
            self._openings.answered(payload, down=down)
            return
        channel = self.table.find(recipient, down=down)
        if not channel.is_confirmed:
            raise ProtocolViolationError("A message came for a channel that is not open yet")
        if number == Message.CHANNEL_WINDOW_ADJUST:
            self._adjust(channel, fields.uint32(), payload, down=down)
            return
        if not down and (self._is_locked or channel.parked is not None):
            self._parking.keep(payload, channel.parked)
            return
        self._take_content(channel, number, payload, down=down)

    def _take_content(self, channel: Channel, number: int, payload: bytes, *, down: bool) -> None:
        """Take a message of a channel that nothing holds."""
        to = self.client if down else self.server
        match number:
            case Message.CHANNEL_DATA | Message.CHANNEL_EXTENDED_DATA:
                self._take_data(channel, number, payload, down=down)
            case Message.CHANNEL_EOF:
                if channel.is_ruled:
                    self._observer.eof(channel.number, down)
                    to.send(payload)
            case Message.CHANNEL_CLOSE:
                self._close(channel, payload, down=down)
            case Message.CHANNEL_REQUEST:
                self._programs.take(channel, payload, down=down)
            case _:
                # An answer: from the server to what the client asked for, or the other way.
                (channel.to_client if down else channel.to_server).take(payload)

    # --- data ---

    def _take_data(self, channel: Channel, number: int, payload: bytes, *, down: bool) -> None:
        """Take data by the long way: of standard error, and of channels that were held or run no program."""
        head = _HEAD if number == _DATA else _ERROR_HEAD
        size = len(payload) - head
        if size < 0 or int.from_bytes(payload[head - 4 : head], "big") != size:
            raise ProtocolViolationError("The length of data is wrong")
        if down:
            left = channel.window_down = channel.window_down - size
            self.down += size
        else:
            left = channel.window_up = channel.window_up - size
            self.up += size
        if left < 0:
            raise ProtocolViolationError("More data came than the window of the channel allows")
        if channel.is_ruled:
            self.is_active = True
            self._observer.data(channel.number, down, 0 if number == _DATA else 1, memoryview(payload)[head:])
            if not self.is_stopped:
                (self.client if down else self.server).send(payload)
        elif down:
            raise ProtocolViolationError("The server sent data before a program was started")
        # Else it was for a program that was refused, or none: there is nobody to read it.

    def _adjust(self, channel: Channel, count: int, payload: bytes, *, down: bool) -> None:
        """Pass on room for data. ``down``: the server gives it, so it is the client that may send more."""
        if down:
            channel.window_up += count
            if channel.window_up > MAX_WINDOW:
                raise ProtocolViolationError("The window of a channel is larger than a window can be")
            self.client.send(payload)
            return
        if channel.is_session and channel.reserve < RESERVE:
            taken = min(RESERVE - channel.reserve, count // 2)
            channel.reserve += taken
            count -= taken
            payload = bytes([Message.CHANNEL_WINDOW_ADJUST]) + uint32(channel.server) + uint32(count)
        channel.window_down += count
        if channel.window_down > MAX_WINDOW:
            raise ProtocolViolationError("The window of a channel is larger than a window can be")
        self.server.send(payload)

    def _close(self, channel: Channel, payload: bytes, *, down: bool) -> None:
        if channel.closed_down if down else channel.closed_up:
            raise ProtocolViolationError("A channel was closed twice")
        if down:
            channel.closed_down = True
            self.client.send(payload)
        else:
            channel.closed_up = True
            self.server.send(payload)
        if channel.closed_down and channel.closed_up:
            self.table.remove(channel)
            if channel.is_ruled:
                self._observer.closed(channel.number)

    # --- holding back what the client sends ---

    def unpark(self, parked: list[bytes]) -> None:
        """Go on with messages of a channel that waited for approval."""
        self._parking.go_on(parked)

    def lock(self, locked: bool) -> None:  # noqa: FBT001 - a state
        """Hold what the client sends on its channels, or let it go on. What the server sends goes on."""
        if locked == self._is_locked:
            return
        self._is_locked = locked
        if not locked:
            self._parking.unlock()

    # --- words of our own ---

    def stop(self) -> None:
        """Let nothing through any longer, not even what was read already."""
        self.is_stopped = True
        self.brakes.stop()

    def say(self, text: str) -> bool:
        """Show a text on every terminal of the session, out of the reserve of its window. Whether there is one."""
        is_shown = False
        data = f"\r\n{text}\r\n".encode()[:RESERVE]
        for channel in self.table.all():
            if "terminal" not in channel.facts or not channel.is_ruled or channel.closed_down:
                continue
            is_shown = True
            told = data[: min(len(data), channel.reserve)]
            channel.reserve -= len(told)
            step = max(channel.packet_down, 1)
            for start in range(0, len(told), step):
                self.client.send(bytes([Message.CHANNEL_DATA]) + uint32(channel.client) + string(told[start : start + step]))
        return is_shown

    def end(self) -> None:
        """Wait for no approval any longer."""
        self._openings.end()
        self._programs.end()

    # --- see `legs.leg.MessageRelay` ---

    def congested(self, leg: Leg, full: bool) -> None:  # noqa: FBT001 - a state
        """See `MessageRelay`."""
        self.brakes.congested(leg, full)

    def exchanging(self, leg: Leg) -> None:
        """See `MessageRelay`."""
        del leg
        self.brakes.exchanging()

    def lost(self, leg: Leg, error: LegError) -> None:
        """See `MessageRelay`."""
        self._ended(leg, error)
