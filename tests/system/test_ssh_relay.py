"""Real programs through the relay: every result is what the same program gets from the target without it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.ports import free_port
from tests.support.server import until
from tests.system.ssh_support import Site, ended, gateway, open_site, run
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


@pytest.fixture(scope="module")
def blob(site: Site) -> Path:
    file = site.directory / "blob"
    file.write_bytes(os.urandom(5 * MEGABYTE + 77))
    file.chmod(0o644)
    return file


COMMANDS = {
    "exit status": (["exit 7"], b""),
    "both outputs": (["echo out; echo err >&2; exit 3"], b""),
    "killed by a signal": (["kill -9 $$"], b""),
    "half close": (["cat; echo after"], b"some input"),
    "binary both ways": (["cat"], bytes(range(256)) * 9000),
    "no command for a shell": ([], b"echo hello; exit 4\n"),
    "a terminal": (["-tt", "stty -a; tty -s; echo $? $TERM"], b""),
    "environment": (["-o", "SetEnv=LC_NAME=grün LANG=C", "echo $LC_NAME $LANG"], b""),
    "unknown subsystem": (["-s", "nothing"], b""),
    "wide characters": (["printf '漢字 🙂 %s' ok"], b""),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_gives_what_it_gives_directly(site: Site, relay: Gateway, name: str) -> None:
    words, given = COMMANDS[name]
    options = [word for word in words if word.startswith("-") or "SetEnv" in word]
    command = [word for word in words if word not in options]
    results = []
    for port in (site.sshd.port, relay.port):
        environment = {**os.environ, "TERM": "xterm-256color"}
        result = site.ssh(port, *options, HERE, *command, input=given, env=environment)
        results.append((result.returncode, result.stdout, result.stderr.replace(str(port).encode(), b"PORT")))
    assert results[0] == results[1]


def test_an_observer_sees_a_command_from_its_beginning_to_its_end(site: Site, relay: Gateway) -> None:
    before = len(relay.served)
    site.ssh(relay.port, HERE, "cat; echo err >&2; exit 5", input=b"given")
    session = ended(relay, before)
    noted = session.observer.noted
    assert [entry[0] for entry in noted[:3]] == ["facts", "ready", "facts"]
    assert (
        "opened",
        1,
        "session",
        "accept",
        "session-exec",
        {"request": "exec", "command": "cat; echo err >&2; exit 5"},
    ) in noted
    assert session.observer.content(1, down=False) == b"given"
    assert session.observer.content(1, down=True) == b"given"
    assert session.observer.content(1, down=True, stream=1) == b"err\n"
    assert ("requested", 1, True, "exit-status", {"status": 5}) in noted
    assert {("eof", 1, False), ("eof", 1, True), ("closed", 1)} <= set(
        entry[:3] for entry in noted if entry[0] in {"eof", "closed"}
    )
    assert session.outcome.verdict == "ACCEPT"
    assert session.observer.outcome == (session.outcome.verdict, session.outcome.reason)
    assert session.outcome.up == 5


def test_files_are_copied_by_every_program(site: Site, relay: Gateway, blob: Path, tmp_path: Path) -> None:
    wanted = hashlib.sha256(blob.read_bytes()).hexdigest()
    options = site.options(relay.port)
    shell = "ssh " + " ".join(options)
    there = site.home / "there"
    copies = {
        "scp": [["scp", *options, str(blob), f"{HERE}:there"], ["scp", *options, f"{HERE}:there", str(tmp_path / "back")]],
        "old scp": [
            ["scp", "-O", *options, str(blob), f"{HERE}:there"],
            ["scp", "-O", *options, f"{HERE}:there", str(tmp_path / "back")],
        ],
        "rsync": [
            ["rsync", "-e", shell, str(blob), f"{HERE}:there"],
            ["rsync", "-e", shell, f"{HERE}:there", str(tmp_path / "back")],
        ],
        "libssh2": [
            [*CURL, "--key", str(site.private), "-u", f"{ACCOUNT}:", "-T", str(blob), f"sftp://127.0.0.1:{relay.port}/~/there"],
            [*CURL, "--key", str(site.private), "-u", f"{ACCOUNT}:", "-o", str(tmp_path / "back"), f"sftp://127.0.0.1:{relay.port}/~/there"],
        ],
    }  # fmt: skip
    for name, commands in copies.items():
        for command in commands:
            result = run(command)
            assert result.returncode == 0, (name, result.stderr)
        for file in (there, tmp_path / "back"):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == wanted, name
            file.unlink()


CURL = ["curl", "-sS", "--insecure", "--pubkey", ""]


def test_sftp_knows_its_extensions(site: Site, relay: Gateway) -> None:
    batch = "mkdir d\nput /etc/hostname d/a\nrename d/a d/b\ndf\nls -l d\nrm d/b\nrmdir d\n"
    result = run(["sftp", "-b", "-", *site.options(relay.port), HERE], input=batch.encode())
    assert result.returncode == 0, result.stderr
    assert b"d/b" in result.stdout


def test_git_pushes_and_fetches(site: Site, relay: Gateway, tmp_path: Path) -> None:
    bare = site.home / "repository.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    run(["chown", "-R", f"{os.stat(site.home).st_uid}", str(bare)])
    work = tmp_path / "work"
    environment = {
        **os.environ, "GIT_SSH_COMMAND": "ssh " + " ".join(site.options(relay.port)), "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    }  # fmt: skip
    for words in (
        ["init", "-q", str(work)],
        ["-C", str(work), "commit", "-q", "--allow-empty", "-m", "one"],
        ["-C", str(work), "push", "-q", f"{HERE}:repository.git", "HEAD:refs/heads/main"],
    ):
        result = run(["git", *words], env=environment)
        assert result.returncode == 0, result.stderr
    listed = run(["git", "ls-remote", f"{HERE}:repository.git"], env=environment)
    assert b"refs/heads/main" in listed.stdout


@pytest.fixture(scope="module")
def web(site: Site) -> Iterator[int]:
    """A server beside the target, whose one page is known."""
    port = free_port()
    folder = site.directory / "web"
    folder.mkdir()
    (folder / "page").write_text("the page\n")
    command = ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        until(lambda: run(["curl", "-sf", f"http://127.0.0.1:{port}/page"]).returncode == 0)
        yield port
        process.terminate()


def test_forwards_carry_connections(site: Site, relay: Gateway, web: int) -> None:
    local, socks, path = free_port(), free_port(), site.directory / "socket"
    options = ["-N", "-L", f"{local}:127.0.0.1:{web}", "-D", str(socks), "-L", f"{path}:127.0.0.1:{web}"]
    with subprocess.Popen(["ssh", *site.options(relay.port), *options, HERE]) as process:
        until(path.exists)
        for words in (
            [f"http://127.0.0.1:{local}/page"],
            ["--socks5-hostname", f"127.0.0.1:{socks}", f"http://localhost:{web}/page"],
            ["--unix-socket", str(path), "http://here/page"],
        ):
            assert run(["curl", "-sS", *words]).stdout == b"the page\n", words
        process.terminate()
    through = site.ssh(relay.port, "-W", f"127.0.0.1:{web}", HERE, input=b"GET /page HTTP/1.0\r\n\r\n")
    assert through.stdout.endswith(b"the page\n")


def test_remote_forwards_come_back(site: Site, relay: Gateway, web: int) -> None:
    script = "read port; curl -sS http://127.0.0.1:$port/page"
    fixed = free_port()
    result = site.ssh(relay.port, "-R", f"{fixed}:127.0.0.1:{web}", HERE, script, input=f"{fixed}\n".encode())
    assert result.stdout == b"the page\n", result.stderr
    # Port 0: the server chooses one and says which.
    command = ["ssh", "-o", "LogLevel=INFO", *site.options(relay.port), "-R", f"0:127.0.0.1:{web}", HERE, script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        port = next(line for line in process.stderr if b"Allocated port" in line).split()[2]
        out, _ = process.communicate(port + b"\n")
    assert out == b"the page\n"


def test_a_jump_through_the_gateway_reaches_the_next_server(site: Site, relay: Gateway) -> None:
    proxy = "ssh " + " ".join(site.options(relay.port)) + f" -W 127.0.0.1:{site.sshd.port} {HERE}"
    result = site.ssh(site.sshd.port, "-o", f"ProxyCommand={proxy}", HERE, "echo jumped")
    assert result.stdout == b"jumped\n"


def test_an_agent_is_forwarded(site: Site, relay: Gateway) -> None:
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(site.directory / "agent")], stdout=subprocess.DEVNULL) as process:
        until((site.directory / "agent").exists)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(site.directory / "agent")}
        subprocess.run(["ssh-add", "-q", str(site.private)], env=environment, check=True)
        result = site.ssh(relay.port, "-A", HERE, "ssh-add -L", env=environment)
        assert site.public.encode() in result.stdout
        process.terminate()


def test_twenty_sessions_share_a_connection(site: Site, relay: Gateway) -> None:
    before = len(relay.served)
    control = site.directory / "control"
    master = ["ssh", *site.options(relay.port), "-M", "-S", str(control), "-N", HERE]
    with subprocess.Popen(master) as process:
        until(control.exists)
        commands = [
            subprocess.Popen(["ssh", "-S", str(control), HERE, f"head -c 300000 /dev/zero | sha256sum; echo {number}"], stdout=subprocess.PIPE)
            for number in range(20)
        ]  # fmt: skip
        digest = hashlib.sha256(bytes(300000)).hexdigest()
        for number, command in enumerate(commands):
            assert command.communicate()[0].decode() == f"{digest}  -\n{number}\n"
        process.terminate()
    assert len(ended(relay, before).observer.seen("opened")) == 20
    assert len(relay.served) == before + 1


@pytest.mark.skipif(shutil.which("plink") is None, reason="make test installs putty-tools")
def test_plink_runs_a_command(site: Site, relay: Gateway) -> None:
    key = site.directory / "id.ppk"
    subprocess.run(["puttygen", str(site.private), "-o", str(key)], check=True)
    fingerprint = run(["ssh-keyscan", "-p", str(relay.port), "127.0.0.1"]).stdout.split()
    del fingerprint
    command = ["plink", "-batch", "-i", str(key), "-P", str(relay.port), "-hostkey", host_fingerprint(), HERE, "cat; exit 6"]
    result = run(command, input=b"by plink")
    assert (result.returncode, result.stdout) == (6, b"by plink"), result.stderr


def host_fingerprint() -> str:
    from tests.support.gateway import HOST_KEY

    return HOST_KEY.get_fingerprint()
