"""What a server does not import, and that garbage is looked for again once it runs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from doorward.cli import lean

NEVER = {
    "asyncssh",
    "attr",
    "click",
    "doorward.api.backup.restores",
    "doorward.cli.commands.get",
    "doorward.cli.edits",
    "gnupg",
    "httpx2",
    "importlib.metadata",
    "luqum",
    "prometheus_client",
    "pygments",
    "pyrad",
    "rich",
    "smbprotocol",
    "uvicorn.main",
    "yaml",
}
"""What takes time and memory, and serves terminals, or those who ask for it."""


def test_a_server_imports_nothing_that_can_wait() -> None:
    script = (
        "import sys\nfrom doorward.cli import lean, main\nfrom doorward.cli.commands import serve\n"
        "with lean.start(): import doorward.appliance\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "structlog" in done.stdout.split()
    assert NEVER.isdisjoint(done.stdout.split())


def test_no_plugins_of_other_packages_run_in_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "")  # which is put back
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS")
    with lean.start():
        assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "__all__"


def test_garbage_is_looked_for_again_after_a_start_that_failed() -> None:
    def fails() -> None:
        with lean.start():
            assert not gc.isenabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert gc.isenabled()


def test_what_is_replaced_for_one_import_is_itself_for_the_next() -> None:
    def found() -> object:
        import colorsys

        return colorsys.rgb_to_hsv

    found()
    del sys.modules["colorsys"]
    with lean.replaced("colorsys", rgb_to_hsv=None):
        assert found() is None
    assert found() is not None
    original = found()
    with lean.replaced("colorsys", rgb_to_hsv=None):
        assert found() is original


def test_what_is_missing_for_one_import_is_there_for_the_next() -> None:
    for known in [name for name in sys.modules if name == "colorsys"]:
        del sys.modules[known]

    def imported() -> None:
        import colorsys  # noqa: F401

    with lean.missing("colorsys"), pytest.raises(ModuleNotFoundError):
        imported()
    imported()
    with lean.missing("colorsys"):
        imported()
