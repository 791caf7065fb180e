"""What the command line makes of its words, before any server starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from doorward import __version__
from doorward.appliance import Options, StartError
from doorward.cli.commands.serve import address
from doorward.cli.main import app
from doorward.cli.state import VARIABLE, HostMode, state_directory
from tests.support.runner import CliRunner

run = CliRunner().invoke


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8443", ("127.0.0.1", 8443)),
        ("0.0.0.0:443", ("0.0.0.0", 443)),  # noqa: S104 - taken apart, not bound to
        ("[::1]:8443", ("::1", 8443)),
        ("[::]:0", ("::", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("doorward1.example:8443", ("doorward1.example", 8443)),
    ],
)
def test_an_address_is_host_and_port(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found


@pytest.mark.parametrize(
    "text", ["", ":", "8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", ":8443", "a:8 4"]
)
def test_another_text_is_no_address(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="must be HOST:PORT"):
        address(text)


def test_a_bad_address_is_a_wrong_use_of_the_command(tmp_path: Path) -> None:
    result = run(app, ["serve", "--state", str(tmp_path / "state"), "--listen", "nowhere"])
    assert result.exit_code == 2
    assert "--listen" in result.output
    assert not (tmp_path / "state").exists()


def test_the_state_directory_is_the_one_that_was_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert state_directory(Path("here"), HostMode.sandbox) == tmp_path / "here"
    assert state_directory(Path("/srv/doorward"), HostMode.system) == Path("/srv/doorward")


def test_without_one_it_is_that_of_the_host_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert state_directory(None, HostMode.system) == Path("/var/lib/doorward")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory(None, HostMode.sandbox) == tmp_path / ".local/state/doorward"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert state_directory(None, HostMode.sandbox) == tmp_path / "elsewhere/doorward"


@pytest.mark.parametrize(
    "words", [["verify"], ["rotate-key"], ["reset-password", "--new-password-file", "-"], ["reset-approval"]]
)
def test_the_environment_names_the_state_directory_and_an_option_goes_first(words: list[str], tmp_path: Path) -> None:
    environment = {VARIABLE: str(tmp_path / "of-the-environment"), "DOORWARD_PROMPT": "0"}

    def said(*before: str, after: tuple[str, ...] = ()) -> str:
        done = run(app, [*before, *words, *after], input="My-0wn-horse-battery\n", env=environment)
        assert done.exit_code == 1, done.output
        return " ".join(done.output.split())

    assert f"{VARIABLE}: {tmp_path}/of-the-environment holds no state of Doorward" in said()
    for told in (said(after=("--state", str(tmp_path / "given"))), said("--state", str(tmp_path / "given"))):
        assert f"{tmp_path}/given holds no state of Doorward" in told
        assert VARIABLE not in told


def test_a_server_takes_the_state_directory_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[Path] = []

    def serves(options: Options, *_: object) -> None:
        served.append(options.state)
        raise StartError("it is full.")

    monkeypatch.setattr("doorward.appliance.run", serves)
    monkeypatch.setattr("doorward.cli.logging.configure", lambda: None)
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "one"))
    assert f"doorward can't start: {VARIABLE}: it is full." in run(app, ["serve"]).output
    assert VARIABLE not in run(app, ["serve", "--state", str(tmp_path / "other")]).output
    assert served == [tmp_path / "one", tmp_path / "other"]


def test_the_release_is_shown() -> None:
    result = run(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"doorward {__version__}\n")


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_names_the_commands(words: list[str]) -> None:
    output = run(app, words).output
    assert "serve" in output
    assert "verify" in output


@pytest.mark.parametrize(
    ("command", "options"), [("serve", ["--state", "--listen", "--host"]), ("verify", ["--state", "--host"])]
)
def test_help_of_a_command_names_its_options(command: str, options: list[str]) -> None:
    result = run(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 0
    for option in options:
        assert option in result.output


def test_an_unknown_host_kind_is_refused(tmp_path: Path) -> None:
    assert run(app, ["verify", "--state", str(tmp_path), "--host", "moon"]).exit_code == 2
