"""Syslog receivers, and the limits of health monitoring: what may be set."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from doorward.tree.problems import InvalidBody
from doorward.tree.validation import check
from tests.support.ports import free_port
from tests.unit.transaction.rig import ROOT, TREE, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYSLOG, MONITORING = "management/syslog", "management/health_monitoring"
LOCAL: dict[str, Any] = {"address": {"selection": "ip", "value": "127.0.0.1"}, "port": 6514}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path).started()
    yield made
    made.close()


def problems(path: str, value: Any) -> list[tuple[str, str]]:
    node: Any = TREE[ROOT + path].node
    try:
        check(node.adapter, value)
    except InvalidBody as refused:
        return [(problem.code, problem.pointer) for problem in refused.problems]
    return []


@pytest.mark.parametrize(
    ("receivers", "found"),
    [
        ([], []),
        ([LOCAL], []),
        ([{**LOCAL, "port": port} for port in range(1, 9)], []),
        ([{**LOCAL, "port": port} for port in range(1, 10)], [("length", "/receivers")]),
        ([LOCAL, {**LOCAL, "transport": {"selection": "tcp"}, "message_format": "rfc3164"}], [("duplicate", "/receivers/1")]),
        ([LOCAL, {**LOCAL, "transport": {"selection": "udp"}}], []),
        ([{"port": 514}], [("missing", "/receivers/0/address")]),
        ([{**LOCAL, "port": 65536}], [("range", "/receivers/0/port")]),
        ([{**LOCAL, "message_format": "json"}], [("enum", "/receivers/0/message_format")]),
        ([{**LOCAL, "transport": {"selection": "relp"}}], [("enum", "/receivers/0/transport/selection")]),
    ],
)
def test_what_a_list_of_receivers_may_hold(receivers: Any, found: list[tuple[str, str]]) -> None:
    assert problems(SYSLOG, {"receivers": receivers}) == found


def test_a_receiver_that_does_not_answer_is_a_warning(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        there = {**LOCAL, "port": listening.getsockname()[1]}
        port = free_port()
        away = {**LOCAL, "port": port}
        nowhere = {**LOCAL, "address": {"selection": "fqdn", "value": "log.invalid"}, "transport": {"selection": "udp"}}
        datagrams = {**LOCAL, "port": port, "transport": {"selection": "udp"}}
        found = rig.committed((SYSLOG, {"receivers": [there, away, datagrams, nowhere]})).warnings
        assert [(warning["code"], warning["pointer"]) for warning in found] == [
            ("no_answer", "/receivers/1"),
            ("no_answer", "/receivers/3"),
        ]
        assert [warning["path"] for warning in found] == [ROOT + SYSLOG] * 2
        # One that was there before is not asked again.
        assert rig.committed((SYSLOG, {"receivers": [away]})).warnings == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, []),
        ({"maximum_load1": 0.01, "maximum_load5": 400}, []),
        ({"maximum_load1": 0}, [("range", "/maximum_load1")]),
        ({"maximum_load15": -1.5}, [("range", "/maximum_load15")]),
        ({"maximum_load5": "4"}, [("type", "/maximum_load5")]),
        ({"maximum_load5": True}, [("type", "/maximum_load5")]),
        ({"maximum_disk_utilization_ratio": 0}, [("range", "/maximum_disk_utilization_ratio")]),
        ({"maximum_disk_utilization_ratio": 101}, [("range", "/maximum_disk_utilization_ratio")]),
        ({"maximum_swap_utilization_ratio": 50.5}, [("type", "/maximum_swap_utilization_ratio")]),
        ({"maximum_swap_utilization_ratio": None}, []),
    ],
)
def test_limits_of_monitoring(value: Any, found: list[tuple[str, str]]) -> None:
    assert problems(MONITORING, value) == found


def test_equal_numbers_are_the_same_limit(rig: Rig) -> None:
    rig.committed((MONITORING, {"maximum_load1": 4, "maximum_load5": 2.5}))
    number = rig.number
    rig.committed((MONITORING, {"maximum_load1": 4.0, "maximum_load5": 2.5}))
    assert rig.number == number
    stored = rig.pipeline.running.snapshot.singletons[ROOT + MONITORING].stored
    assert b'"maximum_load1":4,' in stored
