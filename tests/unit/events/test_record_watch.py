"""Damaged records: an alert and an issue of health, by a look at the start and once a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doorward.events.record_watch import RecordWatch
from doorward.store.port import StoredRecord

if TYPE_CHECKING:
    from tests.unit.events.parts import Bus
    from tests.unit.transaction.rig import Rig

DAY = 86_400.0


def test_damage_is_told_of_once_a_day_until_it_is_over(rig: Rig, bus: Bus) -> None:
    watch = RecordWatch(bus, rig.store)
    watch.look(0.0)
    assert (bus.keys, list(watch.issues())) == ([], [])
    rig.store.put_record(*(StoredRecord("thing", f"{number:02}", None) for number in range(12)))
    rig.store._write(lambda connection: connection.execute("UPDATE records SET body = 'x' WHERE kind = 'thing'"))
    watch.look(DAY - 1)
    assert bus.keys == []
    watch.look(DAY)
    [issue] = watch.issues()
    assert issue.message.startswith("The record thing 00 is damaged and left out. The record thing 01")
    assert issue.message.endswith("The record thing 09 is damaged and left out. 2 more.")
    assert bus.keys == ["db_error"]
    watch.look(2 * DAY)
    assert bus.keys == ["db_error", "db_error"]
    rig.store.trim_records("thing", 0)
    watch.look(3 * DAY)
    assert list(watch.issues()) == []
