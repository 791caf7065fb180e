"""The command line where somebody sits at a terminal: questions, colours, the editor, completion."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.server import PASSWORD, Server
from tests.system.command_line import PROGRAM, CommandLine

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = "management/webinterface.timeout"


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> CommandLine:
    return CommandLine(server, tmp_path, {"TMPDIR": str(tmp_path)})


def editor(cli: CommandLine, script: str) -> str:
    """An editor that does what a shell script says; the file is $1."""
    path = cli.home / "editor"
    path.write_text(f"#!/bin/sh\nset -eu\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def texts_left(cli: CommandLine) -> list[Path]:
    return list(cli.home.glob("doorward-*.yaml"))


def test_the_question_comes_after_the_difference(cli: CommandLine) -> None:
    before = cli.ok("get", TIMEOUT)
    with cli.on_terminal("set", TIMEOUT, "21") as terminal:
        shown = terminal.awaits("Commit? [y/N]: ")
        assert "management/webinterface#timeout" in shown
        assert "\x1b[32m  + 21" in shown, "in colour"
        terminal.types("n")
        done = terminal.ended()
    assert done.code == 1
    assert "Nothing was committed." in done.out
    assert cli.ok("get", TIMEOUT) == before
    with cli.on_terminal("set", TIMEOUT, "21") as terminal:
        terminal.awaits("Commit? [y/N]: ")
        terminal.types("y")
        done = terminal.ended()
    assert done.code == 0, done
    assert cli.ok("get", TIMEOUT) == "21\n"


def test_nobody_is_asked_with_yes(cli: CommandLine) -> None:
    with cli.on_terminal("set", TIMEOUT, "22", "--yes") as terminal:
        done = terminal.ended()
    assert done.code == 0, done
    assert "Commit?" not in done.out


def test_colours_can_be_switched_off(cli: CommandLine) -> None:
    with cli.on_terminal("set", TIMEOUT, "23", "--dry-run", NO_COLOR="1") as terminal:
        done = terminal.ended()
    assert done.code == 0, done
    assert "\x1b[3" not in done.out


def test_a_conflict_says_who_changed_what(server: Server, cli: CommandLine) -> None:
    with cli.on_terminal("set", TIMEOUT, "24") as terminal:
        terminal.awaits("Commit? [y/N]: ")
        other = server.login()
        other.put("/api/configuration/management/webinterface", {"timeout": 25})
        revision = other.commit("faster").json()["meta"]["revision"]
        terminal.types("y")
        done = terminal.ended()
    assert done.code == 1
    assert f"management/webinterface#timeout: changed by admin in revision {revision}; it is 25 now" in done.out
    assert cli.ok("get", TIMEOUT) == "25\n"


def test_a_login_that_ended_meanwhile_is_no_riddle(server: Server, cli: CommandLine) -> None:
    before = cli.ok("get", TIMEOUT)
    with cli.on_terminal("set", TIMEOUT, "48") as terminal:
        terminal.awaits("Commit? [y/N]: ")
        server.stop()
        server.start()
        cli.variables |= {"DOORWARD_URL": server.url}
        terminal.types("y")
        done = terminal.ended()
    assert (done.code, "The login has ended: " in done.out) == (3, True), done
    assert cli.ok("get", TIMEOUT) == before


def test_the_password_is_asked_for_and_not_shown(cli: CommandLine) -> None:
    environment = cli.environment()
    del environment["DOORWARD_PASSWORD"]
    cli.environment = lambda **more: {**environment, **more}  # type: ignore[method-assign]
    with cli.on_terminal("get", TIMEOUT) as terminal:
        terminal.awaits("Password of admin: ")
        terminal.types(PASSWORD)
        done = terminal.ended()
    assert done.code == 0, done
    assert PASSWORD not in done.out


def test_a_required_message_is_asked_for(server: Server, cli: CommandLine) -> None:
    cli.ok("set", "management/accounting.require_commitlog", "true")
    try:
        with cli.on_terminal("set", TIMEOUT, "26") as terminal:
            terminal.awaits("Commit? [y/N]: ")
            terminal.types("y")
            terminal.awaits("Why: ")
            terminal.types("Asked for")
            assert terminal.ended().code == 0
    finally:
        cli.ok("set", "management/accounting.require_commitlog", "false", "-m", "Enough")
    messages = [item["body"]["commit_message"] for item in server.login().get("/api/revisions?limit=2").json()["items"]]
    assert messages == ["Enough", "Asked for"]


def test_the_editor_changes_a_body(cli: CommandLine) -> None:
    script = editor(
        cli,
        'test "$(stat -c %a "$1")" = 600; grep -q "^# /api/configuration/management/webinterface$" "$1"\n'
        'sed -i "s/^timeout: .*/timeout: 27/" "$1"',
    )
    shown = cli.installed("edit", "management/webinterface", EDITOR=script).out.splitlines()
    assert "  + 27" in shown
    assert cli.ok("get", TIMEOUT) == "27\n"
    assert texts_left(cli) == []


def test_a_text_that_was_left_alone_changes_nothing(cli: CommandLine) -> None:
    assert cli.installed("edit", "datetime/ntp_servers", EDITOR="true").out == "Nothing to change.\n"
    assert texts_left(cli) == []


def test_a_refused_text_is_kept(cli: CommandLine) -> None:
    script = editor(cli, 'echo "timeout: 0" > "$1"')
    done = cli.installed("edit", "management/webinterface", EDITOR=script)
    [kept] = texts_left(cli)
    assert (done.code, done.err) == (1, f"management/webinterface /timeout: Must be at least 1.\nYour text is kept in {kept}.\n")
    assert kept.read_text() == "timeout: 0\n"


def test_a_refused_text_comes_back_with_the_reasons(cli: CommandLine) -> None:
    script = editor(
        cli,
        'if grep -q "^# Refused: management/webinterface /timeout" "$1"; then echo "timeout: 28" > "$1"\n'
        'else echo "timeout: 0" > "$1"; fi',
    )
    with cli.on_terminal("edit", "management/webinterface", EDITOR=script) as terminal:
        terminal.awaits("Edit again? [Y/n]: ")
        terminal.types("")
        terminal.awaits("Commit? [y/N]: ")
        terminal.types("y")
        done = terminal.ended()
    assert done.code == 0, done
    assert cli.ok("get", TIMEOUT) == "28\n"


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(cli: CommandLine) -> None:
    script = editor(cli, f'{PROGRAM} set --yes {TIMEOUT} 29 > /dev/null; sed -i "s/^timeout: .*/timeout: 30/" "$1"')
    done = cli.installed("edit", "management/webinterface", EDITOR=script)
    assert done.code == 1
    assert done.err.startswith("Somebody else changed it while you edited.\nYour text is kept in ")
    assert cli.ok("get", TIMEOUT) == "29\n"


def test_a_text_that_is_not_committed_is_kept(cli: CommandLine) -> None:
    script = editor(cli, 'echo "timeout: 31" > "$1"')
    with cli.on_terminal("edit", "management/webinterface", EDITOR=script) as terminal:
        terminal.awaits("Commit? [y/N]: ")
        terminal.types("n")
        done = terminal.ended()
    [kept] = texts_left(cli)
    assert (done.code, done.out.splitlines()[-1]) == (1, f"Your text is kept in {kept}.")
    kept.unlink()
    tried = cli.installed("edit", "management/webinterface", "--dry-run", EDITOR=script)
    [kept] = texts_left(cli)
    assert (tried.code, tried.out.splitlines()[-1]) == (0, f"Your text is kept in {kept}.")


def test_an_editor_that_fails(cli: CommandLine) -> None:
    assert cli.installed("edit", "datetime/timezone", EDITOR="false").code == 1
    missing = cli.installed("edit", "datetime/timezone", EDITOR="/missing/editor")
    assert (missing.code, missing.err) == (2, "The editor /missing/editor can't be started: No such file or directory.\n")
    unclosed = cli.installed("edit", "datetime/timezone", EDITOR="vi '")
    assert (unclosed.code, unclosed.err) == (2, "The editor vi ' can't be started: No closing quotation.\n")


def test_a_shell_completes_paths_without_a_server(cli: CommandLine) -> None:
    bash = cli.environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="yes")  # whatever shell this was started from, if any
    script = subprocess.run([PROGRAM, "--show-completion", "bash"], env=bash, capture_output=True, text=True, check=True).stdout
    asked = 'COMP_WORDS=(doorward get datetime/t); COMP_CWORD=2; _doorward_completion doorward; printf "%s\\n" "${COMPREPLY[@]}"'
    environment = {
        **cli.environment(DOORWARD_URL="https://127.0.0.1:1"),
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(["bash", "-c", f"{script}\n{asked}"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "datetime/timezone\n"
