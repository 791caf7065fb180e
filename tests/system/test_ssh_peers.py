"""Other programs than OpenSSH of today on either side: Dropbear, old algorithms, PAM's questions, displays, tokens."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import structs

from doorward.proxy.ssh.wire.fields import Fields, string, uint32
from doorward.sessions.rules import Relayed
from tests.support.gateway import LEGACY, MODERN, FakeControl, Gateway, make_rules
from tests.support.ports import free_port
from tests.support.server import until
from tests.system.ssh_support import PASSWORD, Site, ended, gateway, open_site, run
from tests.system.sshd_support import ACCOUNT, OWNER

HERE = f"{ACCOUNT}@127.0.0.1"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@contextmanager
def dropbear(site: Site) -> Iterator[tuple[int, str]]:
    """A Dropbear beside the sshd, for the same account; its port and host key."""
    directory = site.directory / "dropbear"
    directory.mkdir()
    key = directory / "key"
    made = run(["dropbearkey", "-t", "ed25519", "-f", str(key)]).stdout.decode()
    public = " ".join(next(line for line in made.splitlines() if line.startswith("ssh-ed25519")).split()[:2])
    keys = site.home / ".ssh"
    keys.mkdir(exist_ok=True, mode=0o700)
    (keys / "authorized_keys").write_text(site.public + "\n")
    for path in (keys, keys / "authorized_keys"):
        os.chown(path, OWNER, OWNER)
    port = free_port()
    script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(site.sshd.directory / "passwd")]
    command += ["/usr/sbin/dropbear", "-F", "-E", "-p", f"127.0.0.1:{port}", "-r", str(key), "-P", str(directory / "pid")]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until(lambda: "Not backgrounding" in (directory / "log").read_text())
            yield port, public
        finally:
            process.terminate()


def test_dropbear_on_both_sides(site: Site) -> None:
    key = site.directory / "dropbear-id"
    assert run(["dropbearconvert", "openssh", "dropbear", str(site.private), str(key)]).returncode == 0
    with dropbear(site) as (port, public), gateway(site, port=port, keys=(public,)) as relay:
        words = ["dbclient", "-y", "-y", "-i", str(key), "-p", str(relay.port), HERE, "cat; echo err >&2; exit 9"]
        content = os.urandom(300_000)
        result = run(words, input=content, env={**os.environ, "HOME": str(site.directory)})
        assert result.returncode == 9, result.stderr
        assert result.stdout == content
        assert result.stderr.endswith(b"err\n")
        # What an OpenSSH client gets through the gateway is what it gets there directly.
        wanted = [site.ssh(to, HERE, "cat; exit 3", input=content) for to in (port, relay.port)]
        assert (wanted[0].returncode, wanted[0].stdout) == (wanted[1].returncode, wanted[1].stdout) == (3, content)
        assert b"dropbear" in ended(relay).control.link[5].encode()


@pytest.mark.parametrize(
    ("kex", "cipher", "mac", "host_key"),
    [
        ("diffie-hellman-group1-sha1", "3des-cbc", "hmac-md5", "ssh-rsa"),
        ("diffie-hellman-group14-sha1", "aes128-cbc", "hmac-sha1", "ssh-rsa"),
        ("diffie-hellman-group-exchange-sha1", "aes256-cbc", "hmac-sha1-96", "rsa-sha2-256"),
        ("ecdh-sha2-nistp256", "aes192-ctr", "hmac-sha1-etm@openssh.com", "ecdsa-sha2-nistp256"),
    ],
)
def test_old_algorithms_on_both_sides(site: Site, kex: str, cipher: str, mac: str, host_key: str) -> None:
    kind = {"ssh-rsa": "rsa", "rsa-sha2-256": "rsa", "ecdsa-sha2-nistp256": "ecdsa"}[host_key]
    host = site.directory / f"host-{kind}"
    if not host.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-b", "2048" if kind == "rsa" else "256", "-N", "", "-f", str(host)], check=True
        )
    lines = f"HostKey {host}\nHostKeyAlgorithms {host_key}\nCiphers {cipher}\nMACs {mac}\nKexAlgorithms {kex}\n"
    with open_site(settings=lines) as old:
        old.sshd.authorize(site.public)
        public = " ".join(host.with_suffix(".pub").read_text().split()[:2])
        rules = make_rules(gateway_login=True, settings={"client": LEGACY, "server": LEGACY})
        own = asyncssh.read_private_key(host).export_private_key()
        target = {"port": old.sshd.port, "keys": (public,)}
        with Gateway(partial(site.by_key, rules, **target), host_keys=(own,)) as relay:
            options = ["-o", f"KexAlgorithms={kex}", "-o", f"Ciphers={cipher}", "-o", f"MACs={mac}"]
            options += ["-o", f"HostKeyAlgorithms={host_key}", *(["-o", "RekeyLimit=400K"] if "ctr" in cipher else [])]
            result = site.ssh(relay.port, *options, HERE, "cat", input=bytes(1_000_000))
            session = ended(relay)
        assert result.stdout == bytes(1_000_000), result.stderr
        assert session.session.exchanges[0] > (1 if "ctr" in cipher else 0)


CIPHERS = [(cipher, "") for cipher in MODERN.cipher if "ctr" not in cipher] + [
    ("aes256-ctr", mac) for mac in MODERN.mac
]  # fmt: skip


@pytest.mark.parametrize("server", CIPHERS, ids=lambda pair: "-".join(pair).split("@")[0] + pair[1][:16])
def test_every_cipher_meets_every_other(site: Site, server: tuple[str, str]) -> None:
    content = os.urandom(200_000)
    algorithms = structs.replace(MODERN, cipher=(server[0],), mac=(server[1],) if server[1] else MODERN.mac)
    with gateway(site, rules=make_rules(gateway_login=True, settings={"server": algorithms})) as relay:
        clients = CIPHERS if os.environ.get("EVERY_PAIR") else [CIPHERS[(CIPHERS.index(server) + 1) % len(CIPHERS)]]
        for cipher, mac in clients:
            options = ["-c", cipher, *(["-m", mac] if mac else [])]
            assert site.ssh(relay.port, *options, HERE, "cat", input=content).stdout == content


def test_questions_of_the_target_reach_the_client() -> None:
    lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n"
    with open_site(settings=lines) as site, Gateway(partial(relayed, site)) as relay:
        assert site.ssh_asking(relay.port, "echo answered").stdout == b"answered\n"
        session = ended(relay)
    assert session.control.link[4] == "keyboard_interactive"
    assert PASSWORD not in repr(session.control.asked)


def relayed(site: Site, **changes: Any) -> FakeControl:
    """A control where nobody logs in at the gateway."""
    return FakeControl(target=site.target(), rules=make_rules(), **changes)


def test_a_password_answers_the_one_question_of_a_target() -> None:
    lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n"
    with open_site(settings=lines) as site:
        rules = make_rules(relayed=(Relayed.SAME_PASSWORD,))
        with Gateway(lambda: FakeControl(target=site.target(), rules=rules)) as relay:
            assert site.ssh_asking(relay.port, "echo answered").stdout == b"answered\n"
            assert ended(relay).control.link[4] == "same_password"


def test_a_display_is_forwarded(site: Site) -> None:
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    with gateway(site) as relay, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        display = f":{int(server.stdout.readline())}"
        result = site.ssh(relay.port, "-Y", HERE, "xdpyinfo", env={**os.environ, "DISPLAY": display})
        server.terminate()
        assert b"640x480 pixels" in result.stdout, result.stderr
        opened = [entry for entry in ended(relay).observer.seen("opened") if entry[2] == "x11"]
    assert [entry[3] for entry in opened] == ["accept"]


class Token:
    """An agent with one key of a security key (PROTOCOL.u2f of OpenSSH), which is touched by nobody."""

    def __init__(self, path: Path) -> None:
        self.key = Ed25519PrivateKey.generate()
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = string("sk-ssh-ed25519@openssh.com") + string(raw) + string("ssh:")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def line(self) -> str:
        import base64

        return f"sk-ssh-ed25519@openssh.com {base64.b64encode(self.public).decode()}"

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            while head := stream.read(4):
                message = stream.read(int.from_bytes(head, "big"))
                if message[0] == 11:
                    answer = b"\x0c" + uint32(1) + string(self.public) + string("token")
                elif message[0] == 13:
                    fields = Fields(message)
                    fields.string()
                    flags_and_counter = struct.pack(">BI", 1, 7)
                    hashed = hashlib.sha256(b"ssh:").digest() + flags_and_counter + hashlib.sha256(fields.string()).digest()
                    signature = string("sk-ssh-ed25519@openssh.com") + string(self.key.sign(hashed)) + flags_and_counter
                    answer = b"\x0e" + string(signature)
                else:
                    answer = b"\x05"
                sock.sendall(string(answer))


def test_a_token_opens_gateway_and_target(site: Site) -> None:
    path = site.directory / "token"
    token = Token(path)
    site.sshd.authorize(token.line)
    try:
        rules = make_rules(gateway_login=True)
        target = site.target(offers=(Relayed.AGENT,))
        with Gateway(lambda: FakeControl(target=target, rules=rules, user_keys=(token.line,))) as relay:
            environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
            options = ["-o", "IdentitiesOnly=no", *site.options(relay.port)]
            options[options.index("-i") : options.index("-i") + 2] = []
            result = run(["ssh", "-A", *options, HERE, "echo touched"], env=environment)
            assert result.stdout == b"touched\n", result.stderr
            asked = [entry for entry in ended(relay).control.asked if entry[0] == "key"]
        assert asked[-1] == ("key", ACCOUNT, "sk-ssh-ed25519@openssh.com", True)
    finally:
        site.sshd.authorize(site.public)
        token.listener.close()
