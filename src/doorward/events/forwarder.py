"""All syslog receivers of the running configuration, and the records that go to each of them."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.configuration.management import syslog
from doorward.events.node import full_name, zone
from doorward.events.receiver import SyslogReceiver
from doorward.events.syslog import Origin
from doorward.events.tap import LogRecord
from doorward.events.tls import SecretText, context
from doorward.tree.snapshot import Snapshot

_SENT = frozenset({"info", "warning", "error", "critical"})


class Forwarder:
    """Sends log records to the receivers. ``configure`` brings it to another configuration; receivers that stay keep going."""

    def __init__(self, secret: SecretText) -> None:
        self._secret = secret
        self._snapshot = Snapshot()
        self._origin = Origin("-")
        self.receivers: tuple[SyslogReceiver, ...] = ()

    def configure(self, snapshot: Snapshot) -> None:
        """Have exactly the receivers of a configuration when this returns."""
        self._snapshot, self._origin = snapshot, Origin(full_name(snapshot), zone(snapshot))
        blocks = snapshot.read(syslog.NODE).receivers
        kept = [receiver for receiver in self.receivers if receiver.block in blocks]
        gone = [receiver for receiver in self.receivers if receiver not in kept]
        known = [receiver.block for receiver in kept]
        new = [self._receiver(block) for block in blocks if block not in known]
        for receiver in new:
            receiver.start()
        self.receivers = (*kept, *new)
        for receiver in gone:
            receiver.stop(wait=False)

    def _receiver(self, block: syslog.Receiver) -> SyslogReceiver:
        return SyslogReceiver(block, lambda: self._origin, lambda transport: context(self._snapshot, transport, self._secret))

    def __call__(self, record: LogRecord) -> None:
        """Take a record of the log. Never waits."""
        if record.level in _SENT:
            for receiver in self.receivers:
                receiver.put(record)

    def issues(self) -> Iterator[str]:
        """Yield what is wrong with receivers, a sentence each."""
        for receiver in self.receivers:
            host, port = receiver.address
            if receiver.away is not None:
                dropped = f", dropped: {receiver.dropped}" if receiver.dropped else ""
                yield f"The syslog receiver {host}:{port} is away ({receiver.away}); waiting records: {len(receiver)}{dropped}."

    def stop(self) -> None:
        """End; what waits is sent to receivers that are there."""
        ended, self.receivers = self.receivers, ()
        for receiver in ended:
            receiver.stop(wait=False)
        for receiver in ended:
            receiver.stop()
