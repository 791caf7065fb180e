"""`doorward export` and `doorward restore` against real servers; what the guide shows is tested with the guide."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.server import Server, running, until
from tests.support.waiting import PATIENCE
from tests.support.zygote import UNMEASURED
from tests.system.command_line import PROGRAM, CommandLine

if TYPE_CHECKING:
    from pathlib import Path

ZONE = "datetime/timezone"


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> CommandLine:
    return CommandLine(server, tmp_path)


def test_an_export_under_a_password_comes_back(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("twelve characters\n")
    under = ("--archive-password-file", "secret")
    cli.ok("export", "--protect", "password", *under, "-o", "x")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    content = (tmp_path / "x").read_bytes()
    again = cli("export", "--protect", "password", *under, "-o", "x")
    assert (again.code, again.err) == (1, "x can't be written: File exists.\n")
    assert (tmp_path / "x").read_bytes() == content
    assert cli.ok("restore", *under, "x") == "Nothing to change.\n"
    cli.ok("set", ZONE, "Asia/Tokyo")
    refused = cli("restore", "x")
    assert (refused.code, refused.err) == (
        1,
        "password_required: It is encrypted under a password. Give --archive-password-file.\n",
    )
    (tmp_path / "wrong").write_text("another password\n")
    assert cli("restore", "--archive-password-file", "wrong", "x").err.startswith("wrong_password: ")
    assert "Nothing was restored" in cli.ok("restore", "--dry-run", *under, "x")
    assert cli.ok("get", ZONE) == "Asia/Tokyo\n"
    assert "is in effect; all login sessions ended.\n" in cli.ok("restore", "-m", "why not", *under, "x")
    assert cli.ok("get", ZONE) == "Etc/UTC\n"
    assert "why not" in cli.ok("history", "--limit", "1")


def test_a_restore_goes_back_unless_it_is_confirmed(server: Server, cli: CommandLine) -> None:
    cli.ok("export", "--protect", "none", "-o", "x")
    cli.ok("set", ZONE, "Asia/Tokyo")
    assert "is in effect, and goes back in 10m unless you run `doorward confirm`" in cli.ok("restore", "--confirm", "10m", "x")
    server.end_trial()
    until(lambda: cli.ok("get", ZONE) == "Asia/Tokyo\n", 120)
    cli.ok("restore", "--confirm", "10m", "x")
    assert "A commit awaits its confirmation" in cli("restore", "x").err
    assert "is confirmed and stays." in cli.ok("confirm")
    assert cli.ok("get", ZONE) == "Etc/UTC\n"
    whole = cli("restore", "--scope", "system", "--confirm", "10m", "x")
    assert (whole.code, "can await confirmation" in whole.err) == (1, True)


def test_what_can_not_be_done_is_said(cli: CommandLine, tmp_path: Path) -> None:
    assert cli("export").err == "management/exported_configuration_encryption /encryption: No public key is configured.\n"
    assert cli("export", "--protect", "password").err == "No password for the archive: give --archive-password-file.\n"
    assert list(tmp_path.iterdir()) == []
    assert cli("restore", "nothing").code == 2
    (tmp_path / "other").write_text("something else")
    assert cli("restore", "other").err == "not_a_backup: It is no archive of a Doorward configuration.\n"
    uploads = cli.server.login().get("/api/backup/uploads").json()["items"]
    assert uploads == [], "what was brought is taken away again"


def test_half_an_export_is_not_left_behind(cli: CommandLine, tmp_path: Path) -> None:
    limit = f"ulimit -f 1; trap '' XFSZ; exec {PROGRAM} export --protect none --output half"
    environment = cli.environment() | UNMEASURED
    done = subprocess.run(
        ["bash", "-c", limit], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (1, "half can't be written: File too large.\n")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_of_another_node_needs_a_word(cli: CommandLine, tmp_path: Path) -> None:
    cli.ok("set", ZONE, "Europe/Budapest")
    assert "Warning: " in cli.ok("export", "--protect", "none", "-o", "mine")
    with running(tmp_path / "other" / "state") as other:
        second = CommandLine(other, tmp_path)
        refused = second("restore", "mine")
        assert refused.err.startswith("unknown_signer: It was signed with the key SHA256:")
        fingerprint = next(word for word in refused.err.split() if word.startswith("SHA256:"))
        assert "is in effect" in second.ok("restore", "--accept-signer", fingerprint, "mine")
        assert second.ok("get", ZONE) == "Europe/Budapest\n"


def test_the_end_is_told_though_the_account_of_who_asked_is_gone(cli: CommandLine, tmp_path: Path) -> None:
    """Of the archive is the password as well."""
    cli.ok("set", ZONE, "Europe/Paris")
    cli.ok("export", "--protect", "none", "-o", "paris")
    with running(tmp_path / "other" / "state", environment={"DOORWARD_ADMIN_PASSWORD": "another password of 5"}) as other:
        second = CommandLine(other, tmp_path, {"DOORWARD_PASSWORD": "another password of 5"})
        fingerprint = next(word for word in second("restore", "paris").err.split() if word.startswith("SHA256:"))
        ended = second("restore", "--accept-signer", fingerprint, "paris")
        assert (ended.code, "is in effect; all login sessions ended." in ended.out) == (0, True), ended
        assert CommandLine(other, tmp_path).ok("get", ZONE) == "Europe/Paris\n"
