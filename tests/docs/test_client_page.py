"""The page about the client for Python: its blocks run, one after the other, beside a fresh server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, running

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def test_every_block_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 5
    with running(tmp_path / "state") as server:
        monkeypatch.chdir(server.certificate.parent)
        known = {"password": PASSWORD}
        for block in blocks:
            exec(block.replace("https://gate.example.com", server.url), known)  # noqa: S102 - our own page
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["/api/configuration/datetime/ntp_servers", "in effect with revision 2"]
    assert said[2].startswith("/api/configuration/management/webinterface /timeout ")
    assert said[3].startswith("/api/configuration/aaa/local_database/users/")
    assert said[4:] == ["in effect with revision 5"]
