"""Libraries and tools that people automate with, through the relay: signals and breaks, Ansible, what OpenSSH 7.4 offers."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import paramiko
import pytest

from doorward.configuration.ssh._algorithms import TOWARDS_CLIENTS, TOWARDS_SERVERS
from doorward.proxy import messages
from doorward.sessions.rules import AlgorithmLists
from tests.support.gateway import Gateway, make_rules
from tests.system.ssh_support import Site, ended, gateway, open_site, run
from tests.system.sshd_support import ACCOUNT, key_pair

HERE = f"{ACCOUNT}@127.0.0.1"
ANSIBLE = Path(__file__).parents[2] / ".venv/clients/bin/ansible-playbook"
TRAP = "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture(scope="module")
def relay(site: Site) -> Iterator[Gateway]:
    with gateway(site) as opened:
        yield opened


async def by_asyncssh(site: Site, port: int) -> list[object]:
    """What a program on asyncssh gets: signals both ways, breaks, sizes, files, a forward, 30 channels at once."""
    options = {"username": ACCOUNT, "client_keys": [str(site.private)], "known_hosts": None, "config": None, "agent_path": None}
    got: list[object] = []
    async with asyncssh.connect("127.0.0.1", port, **options) as connection:
        process = await connection.create_process(TRAP)
        got.append(await process.stdout.readline())
        process.send_signal("USR1")
        got.append([(done := await process.wait()).exit_status, done.stdout])
        # A signal before sshd's child leads a group of processes gets lost, without the gateway too.
        process = await connection.create_process("echo ready; exec sleep 600", stdin=asyncssh.DEVNULL)
        await process.stdout.readline()
        process.terminate()
        got.append((await process.wait()).exit_signal)
        process = await connection.create_process("stty size; cat", term_type="xterm", term_size=(90, 20, 900, 400))
        shown = await process.stdout.readline()  # what is typed sooner would be echoed before it
        process.send_break(500)
        process.stdin.write("a line\n\x04")
        got.append(shown + str((await process.wait()).stdout))
        async with connection.start_sftp_client() as files, files.open("by-asyncssh", "w") as file:
            await file.write("written")
        async with connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", site.sshd.port) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.get_port())
            got.append((await reader.readline()).startswith(b"SSH-2.0-OpenSSH"))
            writer.write_eof()
            await reader.read()  # until the other end has closed, or its socket would outlive the event loop
            writer.close()
            await writer.wait_closed()
        many = await asyncio.gather(*(connection.run(f"head -c 70000 /dev/zero | wc -c; exit {number}") for number in range(30)))
        got.append([(one.stdout, one.exit_status) for one in many])
    return got


def test_asyncssh_gets_what_it_gets_directly(site: Site, relay: Gateway) -> None:
    directly, through = (asyncio.run(by_asyncssh(site, port)) for port in (site.sshd.port, relay.port))
    assert through == directly
    assert through[:3] == ["ready\n", [3, "caught\n"], ("TERM", False, "", "")]
    session = ended(relay)
    noted = [entry[3:] for entry in session.observer.seen("requested")]
    assert ("signal", {"signal": "USR1"}) in noted
    assert ("break", {"milliseconds": 500}) in noted
    assert ("exit-signal", {"signal": "TERM", "core": False, "message": ""}) in noted


def test_paramiko_runs_copies_and_forwards(site: Site, relay: Gateway, tmp_path: Path) -> None:
    content = os.urandom(700_000)
    (tmp_path / "file").write_bytes(content)
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            "127.0.0.1", relay.port, ACCOUNT, key_filename=str(site.private), allow_agent=False, look_for_keys=False
        )  # fmt: skip
        sent, out, err = client.exec_command("cat; echo err >&2; exit 7")
        sent.write("given")
        sent.channel.shutdown_write()
        assert (out.read(), err.read(), out.channel.recv_exit_status()) == (b"given", b"err\n", 7)
        with client.open_sftp() as files:
            files.put(str(tmp_path / "file"), "by-paramiko", confirm=True)
            files.get("by-paramiko", str(tmp_path / "back"))
            files.remove("by-paramiko")
        transport = client.get_transport()
        assert transport is not None
        channel = transport.open_channel("direct-tcpip", ("127.0.0.1", site.sshd.port), ("127.0.0.1", 1))
        assert channel.recv(7) == b"SSH-2.0"
        channel.close()
        transport.renegotiate_keys()
        assert client.exec_command("echo after")[1].read() == b"after\n"
    assert (tmp_path / "back").read_bytes() == content


class Device(asyncssh.SSHServer):
    """A server such as a terminal server, that does something when it gets a break. Everybody may come in."""

    def begin_auth(self, username: str) -> bool:
        del username
        return False


async def _wait_for_break(process: asyncssh.SSHServerProcess[str]) -> None:
    process.stdout.write("booting\r\n")
    try:
        await process.stdin.read()
    except asyncssh.BreakReceived as received:
        process.stdout.write(f"a break of {received.msec} ms\r\n")
    process.exit(0)


@pytest.fixture
def device() -> Iterator[tuple[int, str]]:
    """Give the port of a device and its host key."""
    loop = asyncio.new_event_loop()
    key = asyncssh.generate_private_key("ssh-ed25519")
    listening = asyncssh.listen(
        "127.0.0.1", 0, server_factory=Device, server_host_keys=[key], process_factory=_wait_for_break, line_editor=False
    )
    acceptor = loop.run_until_complete(listening)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield acceptor.get_port(), key.export_public_key().decode().strip()
    acceptor.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_openssh_sends_a_break_to_a_device(site: Site, device: tuple[int, str]) -> None:
    """By its escape ``~B``, which is there where the session has a terminal."""
    port, key = device
    with gateway(site, port=port, keys=(key,)) as relay:
        command = ["ssh", *site.options(relay.port), "-tt", HERE]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"booting\r\n"
            process.stdin.write(b"~B")
            process.stdin.flush()
            assert process.stdout.readline() == b"a break of 1000 ms\r\n"
        assert process.returncode == 0
        assert ended(relay).observer.seen("requested")[-2][3:] == ("break", {"milliseconds": 1000})


PLAYBOOK = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"copy": {"content": "of {{ inventory_hostname }}\n", "dest": "~/{{ inventory_hostname }}.txt", "mode": "0600"}},
            {"fetch": {"src": "~/{{ inventory_hostname }}.txt", "dest": "{{ playbook_dir }}/fetched-", "flat": False}},
        ],
    }
]


@pytest.mark.parametrize("pipelining", [True, False])
def test_ansible_works_on_many_hosts_at_once(site: Site, relay: Gateway, tmp_path: Path, *, pipelining: bool) -> None:
    before = len(relay.served)
    (tmp_path / "play.yml").write_text(json.dumps(PLAYBOOK))
    hosts = [f"h{number}" for number in range(2)]
    (tmp_path / "ansible.cfg").touch()
    # A connection a host, kept for a while as by default; they end with the gateway.
    lines = [f"{host} ansible_host=127.0.0.1 ansible_control_path={site.directory}/{host}-{pipelining:d}\n" for host in hosts]
    (tmp_path / "hosts").write_text("".join(lines))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_FORKS": "4",
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_PIPELINING": str(pipelining),
        "ANSIBLE_REMOTE_USER": ACCOUNT,
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        "ANSIBLE_SSH_COMMON_ARGS": shlex.join(site.options(relay.port)),
    }
    done = run([str(ANSIBLE), "-i", str(tmp_path / "hosts"), str(tmp_path / "play.yml")], env=environment)
    assert done.returncode == 0, done.stdout.decode()
    for host in hosts:
        assert (tmp_path / "fetched-" / host / site.home.relative_to("/") / f"{host}.txt").read_text() == f"of {host}\n"
    assert len(relay.served) == before + len(hosts)


# What `ssh -Q` of OpenSSH 7.4 (Enterprise Linux 7) puts into its offers by default, in its order.
OLDER = {
    "KexAlgorithms": "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
    "diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
    "diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1",
    "Ciphers": "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
    "aes128-cbc,aes192-cbc,aes256-cbc",
    "MACs": "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
    "hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1",
    "HostKeyAlgorithms": "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512,"
    "rsa-sha2-256,ssh-rsa",
}


def _tuples(lists: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(names) for name, names in lists.items()}


@pytest.mark.parametrize("cipher", ["chacha20-poly1305@openssh.com", "aes128-ctr"])
def test_what_openssh_7_4_offers_is_enough_for_modern_rules(cipher: str) -> None:
    """On both sides, with an RSA key of the user; nothing weak has to be allowed for it."""
    listed = {**OLDER, "Ciphers": f"{cipher},{OLDER['Ciphers']}"}
    lines = "".join(f"{name} {value}\n" for name, value in listed.items())
    with open_site(settings=lines) as older:
        public = key_pair(older.directory, "rsa", "rsa")[1]
        older.sshd.authorize(public)
        rsa = asyncssh.read_private_key(older.directory / "rsa")
        modern = {"client": AlgorithmLists(**_tuples(TOWARDS_CLIENTS)), "server": AlgorithmLists(**_tuples(TOWARDS_SERVERS))}
        control = older.by_key(make_rules(gateway_login=True, settings=modern))
        control.user_keys = (public,)
        control.credential = messages.CredentialAnswer(session="", ask=0, public_keys=(public,))
        control.signer = lambda _text, algorithm, data: rsa.sign(data, algorithm.encode())
        with Gateway(lambda: control) as relay:
            words = [word for name, value in listed.items() for word in ("-o", f"{name}={value}")]
            words += ["-o", f"IdentityFile={older.directory}/rsa"]
            result = older.ssh(relay.port, *words, HERE, "cat", input=b"by an older client")
            assert result.stdout == b"by an older client", result.stderr
            session = ended(relay)
    agreed = next(entry[2] for entry in session.control.asked if entry[0] == "identified")
    assert agreed["kex"] == "curve25519-sha256@libssh.org"
    assert cipher in agreed.values()
