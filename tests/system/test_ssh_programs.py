"""Programs that fill a screen, editors that work from afar, shells that roam: with the gateway they do what they do without."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.support.gateway import Gateway
from tests.support.ports import free_port
from tests.support.server import until
from tests.system.ssh_support import Site, gateway, open_site, run
from tests.system.sshd_support import ACCOUNT

HERE = f"{ACCOUNT}@127.0.0.1"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture(scope="module")
def relay(site: Site) -> Iterator[Gateway]:
    with gateway(site) as opened:
        yield opened


class Terminal:
    """A terminal with ssh in it."""

    def __init__(self, site: Site, port: int, command: str) -> None:
        self._master, slave = os.openpty()
        self.resize(80, 24)
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        words = ["ssh", *site.options(port), "-o", "SendEnv=LC_ALL", "-tt", HERE, command]
        # The terminal has to control ssh, which is told of its size by a signal.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *words], stdin=slave, stdout=slave, stderr=slave, env=environment
        )
        os.close(slave)
        self._unread, self._home = b"", site.home

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._master)
        self.process.wait()

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until something is shown; return the match."""
        while True:
            shown = self._unread.decode("utf-8", "replace")
            found = re.search(pattern, shown)
            if found is not None:
                self._unread = shown[found.end() :].encode()
                return found
            ready, _, _ = select.select([self._master], [], [], 60)
            assert ready, f"{pattern} is not shown, but {shown[-2000:]!r}"
            self._unread += os.read(self._master, 65536)

    def has_size(self, columns: int, rows: int, command: str = "stty size > ~/size\r") -> None:
        """Wait until the other end has a size for its own; ``command`` has it written there, again and again."""
        file = self._home / "size"

        def has() -> bool:
            self.type(command)
            while select.select([self._master], [], [], 0.3)[0]:  # else it would wait for us with what it shows
                self._unread += os.read(self._master, 65536)
            return file.exists() and file.read_text() == f"{rows} {columns}\n"

        until(has, what=f"a terminal of {columns} by {rows}")


def test_an_editor_fills_a_screen_that_changes_its_size(site: Site, relay: Gateway) -> None:
    file = site.home / "wide.txt"
    with Terminal(site, relay.port, "PS1='$ ' exec sh -i") as terminal:
        terminal.until(r"\$ ")
        terminal.has_size(80, 24)
        terminal.type("vim -u NONE -N -i NONE -n wide.txt\r")
        terminal.until("wide.txt")
        for columns, rows in ((132, 43), (40, 12), (200, 60)):
            terminal.resize(columns, rows)
            terminal.has_size(columns, rows, "\x1b:call writefile([&lines . ' ' . &columns], 'size')\r")
        terminal.type("i漢字 🙂 grün e\u0301\rzwei")
        terminal.until("zwei")
        terminal.type("\x1b:wq\r")
        until(file.exists)
        terminal.until(r"\$ ")
        terminal.has_size(200, 60)
        terminal.type("exit 5\r")
        assert terminal.process.wait() == 5
    assert file.read_text() == "漢字 🙂 grün e\u0301\nzwei\n"


def test_a_multiplexer_is_left_and_found_again_in_another_size(site: Site, relay: Gateway) -> None:
    tmux = f"tmux -f /dev/null -S {site.home}/tmux"
    with Terminal(site, relay.port, f"{tmux} new -s main 'PS1=\"% \" exec sh -i'") as terminal:
        terminal.until("% ")
        terminal.has_size(80, 23)
        terminal.resize(100, 31)
        terminal.has_size(100, 30)
        # What comes faster than anybody types is a paste for tmux, and no command.
        for typed in ("kept=yes\r", "\x02", "d"):
            terminal.type(typed)
            threading.Event().wait(0.3)
        terminal.until("detached")
        assert terminal.process.wait() == 0
    with Terminal(site, relay.port, f"{tmux} attach") as terminal:
        terminal.has_size(80, 23)
        terminal.type("echo kept=$kept.\r")
        terminal.until(r"kept=yes\.")
        terminal.type("exit\r")
        assert terminal.process.wait() == 0


def test_a_monitor_draws_and_ends(site: Site, relay: Gateway) -> None:
    with Terminal(site, relay.port, "htop") as terminal:
        terminal.until("Load")
        terminal.resize(120, 40)
        terminal.type("q")
        assert terminal.process.wait() == 0


def test_what_is_asked_of_a_mosh_server_comes_back(site: Site, relay: Gateway) -> None:
    """What mosh does before its own protocol, which does not pass a gateway for SSH, takes over."""
    command = "mosh-server new -c 256 -s -l LC_ALL=C.UTF-8 -p 61500:61999 -- /bin/true"
    done = site.ssh(relay.port, "-tt", HERE, command)
    assert re.search(rb"MOSH CONNECT 61\d\d\d [A-Za-z0-9/+]{22}", done.stdout), done


def test_an_editor_from_afar_installs_its_server_and_talks_to_it(site: Site, relay: Gateway) -> None:
    """In the order of VS Code (Remote-SSH): a script over exec, its server by scp, connections through a dynamic forward."""
    content = site.directory / "served"
    content.mkdir()
    (content / "VERSION").write_text("1.2.3\n")
    (content / "blob").write_bytes(os.urandom(MEGABYTE))
    tar = site.directory / "server.tar"
    subprocess.run(["tar", "-cf", str(tar), "-C", str(site.directory), "served"], check=True)
    probe = site.ssh(relay.port, "-T", HERE, "sh", input=b"uname -s; echo marker:$((6*7)); test -d .editor || echo missing\n")
    assert probe.stdout.split() == [b"Linux", b"marker:42", b"missing"]
    assert run(["scp", *site.options(relay.port), str(tar), f"{HERE}:server.tar"]).returncode == 0
    socks, served = free_port(), free_port()
    script = "mkdir .editor && tar -xf server.tar -C .editor && cd .editor/served && echo listening as $$ && exec "
    script += f"/usr/bin/python3 -m http.server --bind 127.0.0.1 {served}"
    command = ["ssh", *site.options(relay.port), "-T", "-D", f"127.0.0.1:{socks}", HERE, "sh", "-c", f"'{script}'"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as editor:
        assert editor.stdout is not None
        listening, _, pid = editor.stdout.readline().split()
        assert listening == b"listening"
        fetch = ["curl", "-sf", "--noproxy", "", "--socks5-hostname", f"127.0.0.1:{socks}"]
        fetch += ["--retry", "20", "--retry-connrefused", "--retry-all-errors", "--retry-delay", "1"]
        assert run([*fetch, f"http://127.0.0.1:{served}/VERSION"]).stdout == b"1.2.3\n"
        several = [
            subprocess.Popen(
                [*fetch, f"http://localhost:{served}/blob"], stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}
            )
            for _ in range(4)
        ]
        for one in several:
            assert one.communicate()[0] == (content / "blob").read_bytes()
        editor.terminate()
    os.kill(int(pid), signal.SIGTERM)  # like that of an editor it outlives its session


def test_a_large_file_with_holes_passes_both_ways(site: Site, relay: Gateway, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(int(os.environ.get("DOORWARD_SPARSE_MIB", "48")) * MEGABYTE)
        file.seek(5 * MEGABYTE + 3)
        file.write(b"an island")
    batch = tmp_path / "batch"
    batch.write_text(f"put {sparse} holes\nget holes {tmp_path}/back\nrm holes\n")
    done = run(["sftp", *site.options(relay.port), "-b", str(batch), HERE])
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "back") == digest(sparse)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_connection_lives_through_silence(site: Site, relay: Gateway) -> None:
    """Keepalives of both ends, in a second of silence each: nobody takes it for the end."""
    options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"]
    done = site.ssh(relay.port, *options, HERE, "sleep 4; echo still here")
    assert (done.returncode, done.stdout) == (0, b"still here\n")
