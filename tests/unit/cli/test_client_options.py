"""Which server, whose password, and whose certificate."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from doorward.cli import session
from doorward.cli.client import checked_url, on_this_machine
from doorward.cli.commands.arguments import read_value
from doorward.cli.failures import Failure, Unreachable, Usage
from doorward.cli.main import app
from doorward.cli.options import Committing, Connection


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything of a server."""
    monkeypatch.delenv("DOORWARD_PASSWORD", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("doorward.cli.state.SYSTEM", tmp_path / "system")
    return tmp_path


def first_start(state: Path, password: str) -> None:
    (state / "tls").mkdir(parents=True)
    (state / "tls" / "ca.pem").write_text("no certificate")
    (state / "initial-admin-password").write_text(f"{password}\n")


@pytest.mark.parametrize("url", ["https://127.0.0.1:8443", "https://[::1]:8443", "https://door.example.com", "https://x/"])
def test_addresses_of_servers(url: str) -> None:
    assert checked_url(url) == url.removesuffix("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8443",
        "127.0.0.1:8443",
        "https://",
        "https://x:99999",
        "https://[::1",
        "https://x/api",
        "https://u:p@x",
        "https://x?a",
        "",
    ],
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(Usage, match="--url must be https://HOST:PORT"):
        checked_url(url)


def test_this_machine_is_known_by_its_loopback_addresses() -> None:
    assert on_this_machine("https://127.0.0.9:1")
    assert on_this_machine("https://[::1]")
    assert on_this_machine("https://localhost:8443")
    assert not on_this_machine("https://192.0.2.1:8443")
    assert not on_this_machine("https://localhost.example.com")


def test_the_password_of_the_environment_goes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "pw").write_text("of the file\n")
    first_start(home / ".local" / "state" / "doorward", "of the first start")
    monkeypatch.setenv("DOORWARD_PASSWORD", "of the environment")
    assert session.password(Connection(password_file=home / "pw")) == "of the environment"
    monkeypatch.delenv("DOORWARD_PASSWORD")
    assert session.password(Connection(password_file=home / "pw")) == "of the file"
    assert session.password(Connection()) == "of the first start"


def test_a_file_without_a_password_is_not_tried(home: Path) -> None:
    (home / "pw").write_text("\n")
    with pytest.raises(Usage, match="pw holds no password"):
        session.password(Connection(password_file=home / "pw"))


def test_only_the_end_of_the_line_is_taken_off_a_password(home: Path) -> None:
    (home / "pw").write_bytes(b" two words \r\n")
    assert session.password(Connection(password_file=home / "pw")) == " two words "


@pytest.mark.parametrize("options", [{"user": "jane"}, {"url": "https://door.example.com"}])
def test_the_password_of_the_first_start_is_for_admin_on_this_machine(home: Path, options: dict[str, Any]) -> None:
    first_start(home / ".local" / "state" / "doorward", "of the first start")
    with pytest.raises(Unreachable, match="No password for"):
        session.password(dataclasses.replace(Connection(), **options))


def test_the_state_of_the_system_is_looked_at_too(home: Path) -> None:
    first_start(home / "system", "of the system")
    assert session.password(Connection()) == "of the system"


def test_a_password_file_that_can_not_be_read(home: Path) -> None:
    with pytest.raises(Usage, match="No such file"):
        session.password(Connection(password_file=home / "missing"))


def test_certificates_that_are_none(home: Path) -> None:
    (home / "ca.pem").write_text("x")
    for path in (home / "ca.pem", home / "missing"):
        with pytest.raises(Usage, match=r"holds no certificates"):
            session.trust(path)


def test_the_certificate_is_always_checked() -> None:
    context = session.trust(None)
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    help_text = CliRunner().invoke(app, ["get", "--help"], env={"COLUMNS": "200"}).output
    assert not [word for word in ("insecure", "verify", "skip") if word in help_text.lower()]


def test_values_come_from_the_line_or_a_file(home: Path) -> None:
    (home / "v.yaml").write_text("a: [1, 22:30]\n")
    assert read_value(f"@{home}/v.yaml") == {"a": [1, "22:30"]}
    assert read_value('{"a": null}') == {"a": None}
    for given in ("{", f"@{home}/missing", "a: 1\na: 2"):
        with pytest.raises(Usage):
            read_value(given)


@pytest.mark.parametrize("command", ["get", "set", "add", "remove", "edit", "diff", "history", "rollback", "apply"])
def test_every_command_has_the_same_connection(command: str) -> None:
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    for option in ("--url", "DOORWARD_URL", "--user", "DOORWARD_USER", "--password-file", "--ca", "DOORWARD_CA"):
        assert option in text
    writes = command in {"set", "add", "remove", "edit", "rollback", "apply"}
    assert all((option in text) is writes for option in ("--message", "--yes", "--dry-run"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["set", "datetime/timezone"], 2),
        (["set", "datetime/timezone", "{"], 2),
        (["rollback", "0"], 2),
        (["get", "--url", "http://127.0.0.1:1"], 2),
        (["get"], 3),
        (["get", "--url", "https://127.0.0.1:1"], 3),
        (["apply", "missing.yaml"], 2),
        (["diff", "missing.yaml"], 2),
        (["diff", "missing.yaml", "2"], 2),
    ],
)
def test_exit_codes_before_anything_is_sent(arguments: list[str], code: int) -> None:
    password = {"DOORWARD_PASSWORD": "x"} if "--url" in arguments else {}
    assert CliRunner().invoke(app, arguments, env=password).exit_code == code


def test_groups_of_options_are_plain_values() -> None:
    assert Committing() == Committing(message=None, yes=False, dry_run=False)
    assert issubclass(Unreachable, Failure)
