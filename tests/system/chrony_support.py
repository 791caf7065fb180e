"""Real chronyds for tests: the sandbox's own, seen from outside, and a local NTP server that it can use."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from doorward.host.resources import Daemon, File, HostResource
from doorward.host.sandbox import run_directory
from doorward.host.supervise import find_program
from tests.support.server import until
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.pki import Identity

SOURCES = "/etc/chrony/sources.d/doorward.sources"
NTP = "/api/configuration/datetime/ntp_servers"


def need_chrony() -> None:
    """Fail with the remedy when chrony is not installed."""
    missing = [name for name in ("chronyd", "chronyc") if find_program(name) is None]
    assert not missing, f"{', '.join(missing)} not found: install the Debian package chrony"


def servers(*names: str) -> list[HostResource]:
    """What the configuration renders for a list of NTP servers."""
    lines = []
    for name in names:
        is_name = any(letter.isalpha() for letter in name) and ":" not in name
        lines.append(f"pool {name} iburst maxsources 4\n" if is_name else f"server {name} iburst\n")
    content = "".join(lines).encode()
    return [File(SOURCES, content, origin=NTP, label="sources"), Daemon("chronyd", (SOURCES,), names, origin=NTP)]


def listed(state: Path) -> list[str]:
    """What the sandbox's chronyd says it uses, asked without Doorward, in its order and without repetitions."""
    socket = run_directory(state.resolve()) / "chronyd.sock"
    command = ["chronyc", "-h", str(socket), "-N", "-c", "sources", "-a"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    return list(dict.fromkeys(line.split(",")[2] for line in answer.splitlines()))


def pid_of(state: Path) -> int:
    """The process id that the sandbox's chronyd wrote down; 0 while there is none."""
    try:
        return int((run_directory(state.resolve()) / "chronyd.pid").read_text())
    except (FileNotFoundError, ValueError):
        return 0


@contextmanager
def time_server(directory: Path, address: str, nts: Identity | None = None) -> Iterator[None]:
    """A chronyd that serves its own clock on `address`, UDP port 123, without ever touching the clock; with NTS as `nts`."""
    run = directory / "run"
    run.mkdir(parents=True)
    run.chmod(0o700)
    conf = directory / "server.conf"
    conf.write_text(
        f"local stratum 8\nallow\nbindaddress {address}\nport 123\ncmdport 0\nbindcmdaddress {run}/s\npidfile {run}/pid\n"
    )
    if nts is not None:
        certificate, key = nts.written(run, "nts")
        with conf.open("a") as more:
            more.write(f"ntsserverkey {key}\nntsservercert {certificate}\nntsdumpdir {run}\n")
    user = pwd.getpwuid(os.geteuid()).pw_name
    program = find_program("chronyd")
    assert program is not None
    command = [program, "-x", "-d", "-U", "-u", user, "-f", str(conf)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until((run / "s").exists)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
        shutil.rmtree(directory)
