"""Which server, whose password, and whose certificate."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from doorward.cli import identity, target
from doorward.cli.failures import CommandError, Unreachable, Usage
from doorward.cli.main import app
from doorward.cli.options import Committing, ConnectionOptions
from doorward.cli.values import parsed, text_of
from tests.support.runner import CliRunner


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything of a server."""
    for name in [name for name in os.environ if name.startswith("DOORWARD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOORWARD_PROMPT", "0")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("doorward.cli.state.SYSTEM", tmp_path / "system")
    return tmp_path


def first_start(state: Path, password: str) -> None:
    (state / "tls").mkdir(parents=True)
    (state / "tls" / "ca.pem").write_text("no certificate")
    (state / "initial-admin-password").write_text(f"{password}\n")


def test_what_is_no_address_of_a_server_is_said_with_where_it_was_given(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Usage, match="--url must be https://HOST:PORT, not http://x"):
        target.resolved(ConnectionOptions(url="http://x"))
    monkeypatch.setenv("DOORWARD_URL", "http://y")
    with pytest.raises(Usage, match="DOORWARD_URL must be https://HOST:PORT, not http://y"):
        target.resolved(ConnectionOptions())


def password(given: ConnectionOptions) -> str:
    return target.password(target.resolved(given))


def test_what_is_given_goes_before_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "pw").write_text("of the file\n")
    (home / "other").write_text("of the other file\n")
    first_start(home / ".local" / "state" / "doorward", "of the first start")
    monkeypatch.setenv("DOORWARD_PASSWORD", "of the environment")
    monkeypatch.setenv("DOORWARD_PASSWORD_FILE", str(home / "other"))
    assert password(ConnectionOptions(password_file=home / "pw")) == "of the file"
    assert password(ConnectionOptions()) == "of the environment"
    monkeypatch.delenv("DOORWARD_PASSWORD")
    assert password(ConnectionOptions()) == "of the other file"
    monkeypatch.delenv("DOORWARD_PASSWORD_FILE")
    assert password(ConnectionOptions()) == "of the first start"
    for name, value in {"URL": "https://a:1", "USER": "ann", "CA": "a.pem", "SERVER_NAME": "a", "PIN": "p"}.items():
        monkeypatch.setenv(f"DOORWARD_{name}", value)
    found = target.resolved(ConnectionOptions())
    assert (found.url, found.user, found.ca, found.server_name, found.pin) == ("https://a:1", "ann", Path("a.pem"), "a", "p")
    given = ConnectionOptions(url="https://b:2", user="bob", ca=Path("b.pem"), server_name="b", pin="q")
    found = target.resolved(given)
    assert (found.url, found.user, found.ca, found.server_name, found.pin) == ("https://b:2", "bob", Path("b.pem"), "b", "q")


def test_errors_name_the_variable_that_they_come_from(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORWARD_URL", "http://x")
    with pytest.raises(Usage, match=r"^DOORWARD_URL must be https://HOST:PORT"):
        target.resolved(ConnectionOptions())
    monkeypatch.delenv("DOORWARD_URL")
    monkeypatch.setenv("DOORWARD_CA", str(home / "missing"))
    with pytest.raises(Usage, match=r"^DOORWARD_CA: "):
        identity.trust(target.resolved(ConnectionOptions()))
    monkeypatch.delenv("DOORWARD_CA")
    monkeypatch.setenv("DOORWARD_PIN", "sha256//short")
    with pytest.raises(Usage, match=r"^DOORWARD_PIN must be sha256//"):
        identity.trust(target.resolved(ConnectionOptions()))
    with pytest.raises(Usage, match=r"^--pin must be sha256//"):
        identity.trust(target.resolved(ConnectionOptions(pin="x")))
    monkeypatch.setenv("DOORWARD_PASSWORD_FILE", str(home / "missing"))
    with pytest.raises(Usage, match=r"^DOORWARD_PASSWORD_FILE: .*No such file"):
        password(ConnectionOptions())


def test_a_file_without_a_password_is_not_tried(home: Path) -> None:
    (home / "pw").write_text("\n")
    with pytest.raises(Usage, match="pw holds no password"):
        password(ConnectionOptions(password_file=home / "pw"))


def test_only_the_end_of_the_line_is_taken_off_a_password(home: Path) -> None:
    (home / "pw").write_bytes(b" two words \r\n")
    assert password(ConnectionOptions(password_file=home / "pw")) == " two words "


@pytest.mark.parametrize("options", [{"user": "jane"}, {"url": "https://door.example.com"}])
def test_the_password_of_the_first_start_is_for_admin_on_this_machine(home: Path, options: dict[str, Any]) -> None:
    first_start(home / ".local" / "state" / "doorward", "of the first start")
    with pytest.raises(Unreachable, match="No password for"):
        password(dataclasses.replace(ConnectionOptions(), **options))


def test_the_state_of_the_system_is_looked_at_too(home: Path) -> None:
    first_start(home / "system", "of the system")
    assert password(ConnectionOptions()) == "of the system"


def test_a_password_file_that_can_not_be_read(home: Path) -> None:
    with pytest.raises(Usage, match="No such file"):
        password(ConnectionOptions(password_file=home / "missing"))


def test_certificates_that_are_none(home: Path) -> None:
    (home / "ca.pem").write_text("x")
    for path in (home / "ca.pem", home / "missing"):
        with pytest.raises(Usage, match=r"holds no certificates"):
            identity.trusting(path, None)


def test_the_certificate_is_always_checked() -> None:
    context = identity.trusting(None, None)
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    help_text = CliRunner().invoke(app, ["get", "--help"], env={"COLUMNS": "200"}).output
    assert not [word for word in ("insecure", "verify", "skip") if word in help_text.lower()]


def test_values_come_from_the_line_or_a_file(home: Path) -> None:
    (home / "v.yaml").write_text("a: [1, 22:30]\n")
    assert parsed(text_of(f"@{home}/v.yaml")) == {"a": [1, "22:30"]}
    assert parsed('{"a": null}') == {"a": None}
    for given in ("{", f"@{home}/missing", "a: 1\na: 2"):
        with pytest.raises(Usage):
            parsed(text_of(given))


COMMANDS = [
    "get",
    "set",
    "add",
    "remove",
    "edit",
    "diff",
    "history",
    "blame",
    "rollback",
    "apply",
    "plan",
    "commit",
    "passwd",
    "status",
]
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
CONNECTION = ["--url", "--user", "--password-file", "--ca", "--server-name", "--pin", "--state"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_same_connection_and_the_help_shows_it_once(command: str) -> None:
    text = CliRunner().invoke(app, [command, "--help"], env=WIDE).output
    assert CliRunner().invoke(app, [command, "-h"], env=WIDE).output == text
    assert not [option for option in CONNECTION if f"{option} " in text]
    assert "docs/operations.md" in text
    assert "doorward --help" in text
    assert not {"{", "<bool>"} & {word[:6] for word in text.partition("Usage:")[2].partition("\n")[0].split()}
    assert "<bool>" not in text
    writes = command in {"set", "add", "remove", "edit", "rollback", "apply", "commit", "passwd"}
    assert all((option in text) is writes for option in ("--message", "--yes", "--dry-run", "--confirm"))

    assert all(option in text for option in ("--output", "--json"))
    whole = CliRunner().invoke(app, ["-h"], env=WIDE).output
    for option in [*CONNECTION, "DOORWARD_URL", "DOORWARD_USER", "DOORWARD_PASSWORD", "DOORWARD_CA", "DOORWARD_PIN"]:
        assert option in whole


@pytest.mark.parametrize("words", [["--url", "http://x", "get"], ["get", "--url", "http://x"]])
def test_options_of_the_connection_stand_before_the_command_or_after_it(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr) == (2, "--url must be https://HOST:PORT, not http://x.\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["set", "datetime/timezone"], 2),
        (["set", "datetime/timezone", "@missing"], 2),
        (["set", "datetime/timezone", "UTC", "--confirm", "5 days"], 2),
        (["set", "datetime/timezone", "UTC", "--confirm", "9s"], 2),
        (["get", "-o", "xml"], 2),
        (["get", "--json", "-o", "yaml"], 2),
        (["explain", "datetime/tinezone"], 2),
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
    assert Committing() == Committing(message=None, yes=False, dry_run=False, confirm=None, stage=False, exit_code=False)
    assert issubclass(Unreachable, CommandError)
