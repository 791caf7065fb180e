"""Whatever a paired node says of itself: it is refused, or it can be shown, by the API and by the command line."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from doorward.cli import nodes_shown
from doorward.cluster.central import Central
from doorward.cluster.statuses import REPORT_LIMIT
from doorward.store.port import StoredRecord
from tests.unit.cluster.pairs import Node, PairedCentral

Join = Callable[..., Node]

STEERING = "n\x1b]0;x\x07\x1b[2J\u202e\u200b\x9b31m"
WHOLE: dict[str, Any] = {
    "fqdn": "node", "version": "1", "listen_address": None, "time": 1.0,
    "applied": {"epoch": 1, "number": 1, "hash": "a" * 64}, "tried": {"epoch": 1, "number": 1, "hash": "a" * 64},
}  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([STEERING, "2026-11-21T20:14:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = [
    "fqdn", "version", "listen_address", "time", "applied", "tried", "last_checked", "last_updated", "issues", "health_status",
    "backup", "central_address", "instance", "sequence", "unheard_of",
]  # fmt: skip


class Shown:
    """What the command line gets from the API."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.client, self._items = self, items

    def get(self, path: str) -> Any:
        self.content = {"items": self._items, "meta": {"self": "none"}} if path.endswith("/status") else {"items": []}
        return self


def shown(items: list[dict[str, Any]]) -> str:
    """The output of ``doorward cluster status``."""
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    for part in nodes_shown.shown(Shown(items)):  # type: ignore[arg-type]
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def is_plain(text: str) -> bool:
    return all(one == "\n" or unicodedata.category(one)[0] != "C" for one in text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(MEMBERS), ANYTHING, max_size=4))
@example({"fqdn": STEERING, "version": STEERING, "listen_address": STEERING, "central_address": STEERING})
@example({"issues": {"errors": [{"code": STEERING, "message": STEERING, "paths": [STEERING]}]}})
@example({"issues": {"warnings": [{"code": "c", "message": "[red]m[/nothing]", "paths": ["[/]"]}]}})
@example({"last_updated": None, "last_checked": None})
@example({"last_updated": "9999-99-99T99:99:99Z"})
@example({"last_updated": "0000-01-01T00:00:00Z"})
@example({"time": 253402300799})
@example({"backup": {"last_success": "9999-12-31T23:59:59Z", "overdue": True}})
def test_a_report_is_refused_or_can_be_shown(central: PairedCentral, join: Join, members: dict[str, Any]) -> None:
    known = central.__dict__.setdefault("hostile", [])
    if not known:
        known.append(join("managed-host"))
    peer = known[0].wire.peer
    try:
        report = msgspec.json.decode(msgspec.json.encode(WHOLE | members))
        central.central.status(peer, report)
    except (msgspec.ValidationError, UnicodeEncodeError, ValueError):
        return
    items = central.central.items()
    assert is_plain("".join(texts(items)))
    assert is_plain(shown(items))
    central.central.watch()
    list(central.central.wrong())
    central.central.keep()
    Central(central.rig.pipeline, central.id, central.key, central.peers, central.events)


def texts(value: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("report", [None, [], {}, 7, {"fqdn": "\x1b"}, WHOLE | {"time": 1e300}])
def test_what_an_earlier_release_kept_is_no_hindrance(central: PairedCentral, join: Join, report: Any) -> None:
    node = join("managed-host")
    central.rig.store.put_record(StoredRecord("cluster_status", node.id, {"at": 1.0, "report": report}))
    another = Central(central.rig.pipeline, central.id, central.key, central.peers, central.events)
    [item] = another.items()
    assert item["fqdn"] is None


def test_the_limit_is_that_of_the_contract() -> None:
    assert REPORT_LIMIT == 65_536
