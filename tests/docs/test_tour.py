"""The quick tour of the README is true: pasted into a shell it does what it says, and ends with a time server that answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.guide import shell
from tests.system.chrony_support import need_chrony, time_server

README = Path(__file__).parents[2] / "README.md"
NAMED = "{selection: fqdn, value: time.cloudflare.com}"
"""The time server of the tour, which no test can reach."""


@pytest.fixture
def script() -> str:
    section = README.read_text().partition("## Quick tour")[2].partition("\n## ")[0]
    [script] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(script)


def test_the_tour_is_true(script: str, tmp_path: Path) -> None:
    need_chrony()
    assert NAMED in script
    here = script.replace(NAMED, "{selection: ip, value: 127.0.0.123}")
    with time_server(tmp_path / "time", "127.0.0.123"):
        refused = "datetime/ntp_servers /0/selection: .*\ndatetime/ntp_servers /1/value: .*\n"
        shown = shell(here, tmp_path, f"{refused}(Waiting until the clock has a source .*\n)?")
    assert re.findall(r"Revision \d+ is [a-z]+|\d changes? staged", shown) == [
        "Revision 2 is in",
        "Revision 3 is in",
        "Revision 3 is confirmed",
        "1 change staged",
        "2 changes staged",
        "Revision 4 is in",
        "Revision 5 is in",
    ]
    assert "datetime/ntp_servers: reload chronyd" in shown
    *_, last = shown.splitlines()
    assert re.fullmatch(r"127\.0\.0\.123 +127\.0\.0\.123 +8 +[+-]\d+\.\d+ ms +selected", last), shown
