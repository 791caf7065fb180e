"""``serve --host system``, started by root: who its processes are, and what becomes of them."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from doorward.cli import starting
from doorward.cli.servers import ServerName
from doorward.proxy.worker.places import Places
from tests.support.namespaces import apart
from tests.support.server import PASSWORD, Server, until
from tests.system.chrony_support import need_chrony
from tests.system.test_network_system import ACCOUNTS, STATE, machine

FRONT, WORKERS = ACCOUNTS.values()
_HELPER = "doorward.host.helper.running"
BIND = 1 << 10
"""CAP_NET_BIND_SERVICE."""


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def helpers() -> list[int]:
    return [one.pid for one in psutil.process_iter(["cmdline"]) if _HELPER in (one.info["cmdline"] or ()) and in_here(one.pid)]


def in_here(pid: int) -> bool:
    """Whether a process is in the name space of this thread, not in that of another test."""
    with suppress(FileNotFoundError):  # it ends at this moment
        return Path(f"/proc/{pid}/ns/uts").readlink() == Path("/proc/thread-self/ns/uts").readlink()
    return False


def let_users_through(server: Server, file: Path) -> None:
    """Commit a policy for SSH, for which workers are started."""
    policy = starting._policy(ipaddress.ip_interface("192.0.2.5/24"), 2222, ServerName("192.0.2.9", 22))
    channels = {starting.POLICY: {"rules": [{"channel": name} for name in starting.CHANNELS]}}
    described = {"connections": {starting.POLICY: policy}, "channel_policies": channels}
    file.write_text(json.dumps({"configuration": {"ssh": {"options": {"service": {"enabled": True}}, **described}}}))
    environment = {"DOORWARD_URL": server.url, "DOORWARD_PASSWORD": PASSWORD, "DOORWARD_CA": str(server.certificate)}
    run_doorward("apply", "-y", str(file), **environment)


def run_doorward(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "doorward", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@apart
def test_root_is_left_to_the_helper(tmp_path: Path) -> None:
    need_chrony()
    machine(tmp_path)
    STATE.mkdir(mode=0o700)
    (STATE / "tls").mkdir(mode=0o700)  # of a server that was root
    server = Server(STATE, options=("--host", "system", "--listen", "192.0.2.5:443"), plain=True).start()
    try:
        assert server.process is not None
        assert server.port == 443
        front, [helper] = server.process.pid, helpers()
        told = status(front)
        assert set(told["Uid"].split()) == set(told["Gid"].split()) == {str(FRONT)}
        assert (told["Groups"], told["NoNewPrivs"]) == ("", "1")
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
            assert int(told[kind], 16) == BIND
        assert status(helper)["Uid"].split()[0] == "0"
        assert psutil.Process(helper).net_connections("inet") == []
        assert {path.stat().st_uid for path in (STATE, STATE / "tls", STATE / "data.key")} == {FRONT}

        client = server.login()
        client.put("/api/configuration/network/naming", {"hostname": "node7", "domainname": "example.com"})
        assert client.commit().status_code == 200
        assert Path("/etc/hostname").read_text() == "node7\n"
        assert client.body("/api/time_status")["daemon"]["running"]

        let_users_through(server, tmp_path / "policy.json")
        places = Places.of(STATE)
        until(lambda: len(places.workers()) > 0)
        for directory in (places.sockets, places.trails):
            assert (directory.stat().st_uid, directory.stat().st_gid, directory.stat().st_mode & 0o7777) == (
                WORKERS,
                FRONT,
                0o2770,
            )

        run_doorward("verify", "--state", str(STATE), "--host", "system")
        # What the server starts can gain no rights, and does not come by the password of admin either.
        (tmp_path / "password").write_text(f"{PASSWORD}-and-a-dog")
        reset = ["reset-password", "--state", str(STATE), "--host", "system", "--new-password-file"]
        own = ["setpriv", f"--reuid={FRONT}", f"--regid={FRONT}", "--clear-groups", "--no-new-privs", "--"]
        with (tmp_path / "password").open() as password:
            command = [*own, sys.executable, "-m", "doorward", *reset, "-"]
            refused = subprocess.run(command, stdin=password, capture_output=True, text=True, check=False)
        assert "A program that the server started may not ask for this" in refused.stderr
        run_doorward(*reset, str(tmp_path / "password"))

        server.kill()
        until(lambda: helpers() == [])
        server.start()
        client = server.login(password=f"{PASSWORD}-and-a-dog")
        assert client.body("/api/configuration/network/naming")["hostname"] == "node7"
    finally:
        server.stop()
    until(lambda: helpers() == [])
    assert list(Path("/run/doorward").iterdir()) == []


@apart
def test_without_an_account_for_the_server_it_does_not_start(tmp_path: Path) -> None:
    machine(tmp_path)
    accounts = Path("/etc/passwd")
    accounts.write_text(
        "".join(line for line in accounts.read_text().splitlines(keepends=True) if not line.startswith("doorward:"))
    )
    done = subprocess.run(
        [sys.executable, "-m", "doorward", "serve", "--host", "system", "--state", str(STATE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no account doorward for it. Make one: useradd --system" in done.stderr
    assert not STATE.exists()
