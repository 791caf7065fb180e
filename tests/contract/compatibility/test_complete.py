"""Every line of the list of what clients need is tested, or waits for what it is about."""

from __future__ import annotations

import re
from pathlib import Path

LATER = {20: "logins by certificate"}
GONE = {83}
"""What the contract says no longer."""


def numbers() -> set[int]:
    files = Path(__file__).parent.glob("test_*.py")
    return {int(number) for file in files for number in re.findall(r"(?m)^def test_(\d+)_", file.read_text())}


def test_every_number_is_tested_or_later() -> None:
    assert numbers() | LATER.keys() == set(range(1, 85)) - GONE
    assert not numbers() & LATER.keys()
