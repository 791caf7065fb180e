"""The documented samples, member for member; `remaining_seconds` apart, with which only some were printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.wire import NTP, ZONE, Caller

SAMPLES = Path(__file__).parent / "data"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def without_time(answer: Any) -> Any:
    meta = {name: value for name, value in answer["meta"].items() if name != "remaining_seconds"}
    return {**answer, "meta": meta}


def test_branch_datetime_is_the_sample(admin: Caller) -> None:
    assert without_time(admin.get("/api/configuration/datetime").ok().json) == sample("datetime")


def test_ntp_servers_are_the_sample(admin: Caller) -> None:
    assert without_time(admin.get(NTP).ok().json) == sample("ntp_servers")


def test_timezone_set_as_in_the_sample_is_the_sample(admin: Caller) -> None:
    admin.put(ZONE, "America/New_York").ok()
    admin.commit().ok()
    assert without_time(admin.get(ZONE).ok().json) == sample("timezone")


@pytest.mark.parametrize("name", ["cluster", "exported_configuration_encryption", "system_backup"])
def test_neighbours_are_those_of_the_sample(admin: Caller, name: str) -> None:
    expected = sample(name)
    answer = admin.get(expected["meta"]["href"]).ok().json
    assert answer["key"] == expected["key"]
    assert answer["meta"] == expected["meta"]
