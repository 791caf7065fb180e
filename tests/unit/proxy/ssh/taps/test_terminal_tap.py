"""A terminal is recorded in full; what was typed unseen is apart; commands and text are what stood on the screen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from doorward.proxy.ssh.taps.terminal_tap import TerminalTap
from doorward.recording.records import RecordKind
from doorward.recording.terminal import AvtTerminal
from tests.unit.proxy.ssh.taps.logs import Log, Typist

PROMPT = "alice@db1:~$ "


def terminal(columns: int = 80, rows: int = 24, level: str = "screen") -> tuple[Log, TerminalTap, Typist]:
    log = Log(level)
    tap = TerminalTap(log.channel, (columns, rows))
    return log, tap, Typist(tap)


def test_commands_are_read_off_the_screen() -> None:
    log, _, alice = terminal()
    alice.shows(PROMPT)
    alice.types("ls -la\r")
    alice.shows("total 0\r\n" + PROMPT)
    alice.types("dat")
    alice.tap.data(alice.at, b"\t", 0, down=False)  # the shell completes it
    alice.shows("e ")
    alice.types("\r")
    alice.shows("today\r\n" + PROMPT)
    alice.tap.data(alice.at, b"\x1b[A", 0, down=False)  # from the history
    alice.shows("date ")
    alice.types("\r")
    assert log.text("command") == ["ls -la", "date", "date"]
    assert [content["command"] for content in log.contents(RecordKind.EVENT)] == ["ls -la", "date", "date"]


def test_what_is_edited_is_the_command() -> None:
    log, _, alice = terminal()
    alice.shows(PROMPT)
    alice.types("rm -rf /")
    for _ in range(8):
        alice.tap.data(alice.at, b"\x7f", 0, down=False)
        alice.shows("\b \b")
    alice.types("id\r")
    assert log.text("command") == ["id"]


def test_a_command_over_several_rows_at_the_bottom_of_the_screen() -> None:
    log, _, alice = terminal(columns=40, rows=4)
    alice.shows("\r\n\r\n\r\n" + PROMPT)
    command = "echo " + " ".join(f"word{number}" for number in range(12))
    alice.types(command + "\r")
    assert log.text("command") == [command]


def test_the_last_characters_may_come_after_the_enter() -> None:
    log, tap, alice = terminal()
    alice.shows(PROMPT)
    for character in "uptime\r":
        alice.at += 1
        tap.data(alice.at, character.encode(), 0, down=False)
    alice.shows("uptime\r\n 10:00 up\r\n" + PROMPT, after=50)
    assert log.text("command") == ["uptime"]


def test_what_is_typed_ahead_is_found_by_the_prompt() -> None:
    log, _, alice = terminal()
    alice.shows(PROMPT)
    alice.types("sleep 3\r")
    alice.types("cd /srv\r", echo=False)
    alice.shows(PROMPT + "cd /srv\r\nalice@db1:/srv$ ", after=3000)
    alice.types("pwd\r")
    assert log.text("command") == ["sleep 3", "cd /srv", "pwd"]


def test_nothing_typed_into_a_program_with_the_whole_screen_is_a_command() -> None:
    log, _, alice = terminal()
    alice.shows(PROMPT)
    alice.types("vi notes\r")
    alice.shows("\x1b[?1049h\x1b[2J\x1b[Hold text\x1b[2;1H~")
    alice.types("inew\r", echo=False)
    alice.shows("\x1b[?10", after=20)
    alice.shows("49l" + PROMPT)
    alice.types("id\r")
    assert log.text("command") == ["vi notes", "id"]
    assert "old text" in log.text("screen")


def test_marks_of_the_shell_count_alone() -> None:
    log, _, alice = terminal()
    alice.shows("\x1b]133;A\x07$ \x1b]133;B\x07")
    alice.types("make all\r")
    alice.shows("\x1b]133;C\x07Continue? ")
    alice.types("y\r")
    alice.shows("\x1b]133;D;0\x07\x1b]133;A\x07$ \x1b]133;B\x07")
    assert log.text("command") == ["make all"]


def test_a_password_is_hidden_and_in_no_text() -> None:
    log, tap, alice = terminal()
    alice.shows(PROMPT)
    alice.types("sudo -i\r")
    alice.shows("[sudo] password for alice: ")
    alice.types("hunter2\r", echo=False)
    alice.shows("root@db1:~# ")
    alice.types("id\r")
    alice.waits(1000)
    tap.close(alice.at)
    assert log.data(RecordKind.HIDDEN_INPUT) == b"hunter2"
    assert log.data(RecordKind.INPUT) == b"sudo -i\r\rid\r"
    assert not any("hunter2" in line for _, line in log.lines)
    assert log.text("command") == ["sudo -i", "id"]


def test_what_is_not_echoed_is_hidden_without_any_question() -> None:
    log, _, alice = terminal()
    alice.shows("> ")
    alice.types("s3cret", echo=False)
    alice.waits(500)
    alice.types("\r")
    assert log.data(RecordKind.HIDDEN_INPUT) == b"s3cret"


def test_a_password_right_behind_a_command() -> None:
    log, tap, _ = terminal()
    for index, (down, text) in enumerate(
        [(True, "$ "), (False, "sudo id\r"), (True, "sudo id\r\n"), (True, "Password: "), (False, "hunter2\r"), (True, "$ "),
         (False, "exit\r"), (True, "exit\r\n")]
    ):  # fmt: skip
        tap.data(index, text.encode(), 0, down=down)
    tap.close(9)
    assert log.data(RecordKind.HIDDEN_INPUT) == b"hunter2\r"
    assert log.text("command") == ["sudo id", "exit"]


def test_stars_are_no_echo() -> None:
    log, tap, alice = terminal()
    alice.shows("Passphrase: ")
    for character in "abc":
        alice.types(character, echo=False)
        alice.shows("*")
    alice.types("\r")
    tap.close(alice.at)
    assert log.data(RecordKind.HIDDEN_INPUT) == b"abc"


def test_a_password_stays_hidden_while_something_else_is_shown() -> None:
    log, tap, alice = terminal()
    alice.shows("Password: ")
    for character in "abc":
        alice.types(character, echo=False)
        alice.shows(character)  # of a program in the background
    alice.types("\r")
    tap.close(alice.at)
    assert log.data(RecordKind.HIDDEN_INPUT) == b"abc"


def test_lines_are_told_once_when_they_scroll_and_when_they_stand() -> None:
    log, tap, alice = terminal(rows=5)
    for number in range(10):
        alice.shows(f"line {number}\r\n")
    alice.waits(20_000)
    for number in range(10, 15):
        alice.shows(f"line {number}\r\n")
    tap.close(alice.at)
    assert sorted(log.text("screen")) == sorted(f"line {number}" for number in range(15))


def test_titles_are_text() -> None:
    log, _, alice = terminal()
    alice.shows("\x1b]0;alice@db1: ~\x07\x1b]2;top\x1b\\" + PROMPT)
    assert log.text("title") == ["alice@db1: ~", "top"]


def test_levels_of_text() -> None:
    for level, kinds in (("none", set()), ("metadata", set()), ("commands", {"command"}), ("screen", {"command", "screen"})):
        log, tap, alice = terminal(level=level)
        alice.shows(PROMPT)
        alice.types("ls\r")
        tap.close(alice.at)
        assert {kind for kind, _ in log.lines} == kinds


@given(
    st.lists(
        st.binary(max_size=80) | st.sampled_from([b"\x1b[?1049h", b"\x1b]133;B\x07", b"\r\n", b"\x1b]0;", b"\x1b[", b"\x1b"])
    )
)
def test_no_output_is_lost_or_harms(parts: list[bytes]) -> None:
    log, tap, _ = terminal(columns=20, rows=5)
    plain = AvtTerminal(20, 5)
    for index, part in enumerate(parts):
        if index % 3 == 2:
            tap.data(index, part, 0, down=False)
        else:
            tap.data(index, part, 0, down=True)
            plain.feed(part)
        tap.settle(index * 100)
        if index % 5 == 4:
            tap.rest(10**6)
    tap.close(10**6)
    output = b"".join(part for index, part in enumerate(parts) if index % 3 != 2)
    assert log.data(RecordKind.OUTPUT) == output
    assert log.data(RecordKind.INPUT, RecordKind.HIDDEN_INPUT) == b"".join(parts[2::3])
    assert tap.drawing() == plain.drawing()


def test_sizes_change() -> None:
    log, tap, alice = terminal()
    alice.shows(PROMPT)
    tap.requested(10, "window-change", {"columns": 100, "rows": 30})
    assert tap.size() == (100, 30)
    assert log.contents(RecordKind.RESIZE) == [{"columns": 100, "rows": 30}]
    tap.requested(11, "window-change", {"columns": 0, "rows": 4_000_000_000})
    assert tap.size() == (80, 24)
