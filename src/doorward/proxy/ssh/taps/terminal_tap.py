"""Follows a channel with a terminal: output and input in full, resizes, commands, text, and the drawing for keyframes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.proxy.ssh.taps.channel import MAX_LINE, ChannelLog, printable
from doorward.proxy.ssh.taps.commands import Commands
from doorward.proxy.ssh.taps.echo import Echo, asks_for_secret
from doorward.proxy.ssh.taps.marks import Mark, MarkKind, Splitter
from doorward.proxy.ssh.taps.screen_text import ScreenText
from doorward.recording.channels import size_of
from doorward.recording.records import RecordKind
from doorward.recording.terminal import AvtTerminal
from doorward.recording.writer import REST_MILLISECONDS
from doorward.sessions.rules import TEXT_KINDS


class TerminalTap:
    """One terminal."""

    has_screen = True

    def __init__(self, log: ChannelLog, size: tuple[int, int]) -> None:
        self._log = log
        self._terminal = AvtTerminal(*size)
        self._splitter = Splitter()
        self._echo, self._commands, self._text = Echo(), Commands(), ScreenText()
        self._wants_screen = "screen" in TEXT_KINDS.get(log.level, ())
        self._whole_screen = False
        self._title = ""
        self._active = 0
        self._is_unseen = False
        """Whether something was shown since the screen was looked at."""

    def data(self, at: int, data: bytes, stream: int, *, down: bool) -> None:
        """Take output or input."""
        self._active = at
        if down:
            self._log.content(at, RecordKind.ERROR_OUTPUT if stream else RecordKind.OUTPUT, data)
            self._echo.shown(data)
            for part in self._splitter.split(data):
                if isinstance(part, Mark):
                    self._marked(at, part)
                elif part:
                    self._output(at, part)
        else:
            secret = self._echo.is_settled and self._asks_for_secret()
            if not self._whole_screen:
                self._commands.typed(at, data, self._terminal)
            self._echo.typed(at, data, secret=secret)

    def _asks_for_secret(self) -> bool:
        row, _ = self._terminal.cursor
        return asks_for_secret(self._terminal.lines()[row])

    def _output(self, at: int, data: bytes) -> None:
        while self._commands.wants and (end := data.find(b"\n")) >= 0:
            self._feed(at, data[:end])
            command = self._commands.line_feed(at, self._terminal)
            if command:
                self._command(at, command)
            self._feed(at, data[end : end + 1])
            data = data[end + 1 :]
        if data:
            self._feed(at, data)

    def _feed(self, at: int, data: bytes) -> None:
        self._is_unseen = self._wants_screen
        gone = self._terminal.feed(data)
        self._commands.shown(len(gone))
        self._gone(at, gone)

    def _gone(self, at: int, gone: list[str]) -> None:
        if self._wants_screen:
            for line in self._text.gone(at, gone):
                self._log.text(at, "screen", line)

    def _command(self, at: int, command: str) -> None:
        command = printable(command.replace("\n", " "))[:MAX_LINE]
        if command:
            self._log.facts(at, RecordKind.EVENT, {"command": command, "event": "command"})
            self._log.text(at, "command", command)

    def _marked(self, at: int, mark: Mark) -> None:
        match mark.kind:
            case MarkKind.INPUT:
                self._commands.prompt_ends(self._terminal)
            case MarkKind.RUN:
                if command := self._commands.command_runs(self._terminal):
                    self._command(at, command)
            case MarkKind.TITLE:
                if mark.text != self._title:
                    self._title = mark.text
                    self._log.text(at, "title", mark.text)
            case MarkKind.ALTERNATE | MarkKind.PRIMARY:
                self._look(at)
                self._whole_screen = mark.kind is MarkKind.ALTERNATE
                self._commands.left_screen()
            case MarkKind.PROMPT | MarkKind.DONE:
                pass

    def _look(self, at: int) -> None:
        """Take the text of the screen as it is."""
        self._is_unseen = False
        if self._wants_screen:
            for line in self._text.standing(at, self._terminal.lines(), scrolls=not self._whole_screen):
                self._log.text(at, "screen", line)

    def requested(self, at: int, request: str, facts: Mapping[str, Any]) -> None:
        """Take another size."""
        if request == "window-change":
            columns, rows = size_of(dict(facts))
            self._log.facts(at, RecordKind.RESIZE, {"columns": columns, "rows": rows})
            gone = self._terminal.resize(columns, rows)
            self._commands.shown(len(gone))
            self._gone(at, gone)

    def settle(self, at: int) -> None:
        """Write what was typed once it is known whether it was shown; look at the screen now and then."""
        self._write_typed(at)
        if self._text.is_due(at):
            self._look(at)

    @property
    def waits(self) -> bool:
        """Whether something was typed that is not written yet, or is shown that was not looked at."""
        return self._is_unseen or not self._echo.is_idle

    def _write_typed(self, now: int | None) -> None:
        for at, hidden, data in self._echo.take(now):
            self._log.content(at, RecordKind.HIDDEN_INPUT if hidden else RecordKind.INPUT, data)

    def rest(self, at: int) -> None:
        """Give up the memory of the terminal, if nothing has happened for a while."""
        if at - self._active >= REST_MILLISECONDS:
            self._terminal.rest()

    def close(self, at: int) -> Mapping[str, Any]:
        """End: everything that waits is decided, and what stands on the screen is text."""
        if rest := self._splitter.rest():
            self._feed(at, rest)
        self._write_typed(None)
        self._look(at)
        return {"text_skipped": self._text.skipped} if self._text.skipped else {}

    def drawing(self) -> bytes | None:
        """Return what draws the terminal as it is."""
        return self._terminal.drawing()

    def size(self) -> tuple[int, int]:
        """Return columns and rows."""
        return self._terminal.size
