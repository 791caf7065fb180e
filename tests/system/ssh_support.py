"""A target, a gateway before it, and programs that go to either."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh

from doorward.proxy import messages
from doorward.sessions.rules import ConnectionRules, Relayed
from tests.support.gateway import FakeControl, FakeObserver, Gateway, make_rules
from tests.support.server import until
from tests.system.backup_support import open_directory
from tests.system.sshd_support import ACCOUNT, Sshd, key_pair

PASSWORD = "pw with spaces ünd umlaut"
SETTINGS = """
AcceptEnv *
PermitTTY yes
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AllowAgentForwarding yes
X11Forwarding yes
PermitTunnel no
MaxSessions 40
Subsystem sftp internal-sftp
"""


@dataclass
class Site:
    """What a test has: a target with an account, a key for it, and places for files."""

    directory: Path
    sshd: Sshd
    public: str
    private: Path
    ask: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The home of the account."""
        return self.sshd.directory / "home"

    def target(self, **changes: Any) -> messages.TargetAnswer:
        """The target as control tells of it."""
        return messages.TargetAnswer(
            **{
                "session": "",
                "ask": 0,
                "name": "target",
                "addresses": ("127.0.0.1",),
                "port": self.sshd.port,
                "user": ACCOUNT,
                "keys": (self.sshd.host_key,),
                "offers": (Relayed.SAME_PASSWORD, Relayed.KEYBOARD_INTERACTIVE, Relayed.AGENT),
                **changes,
            }
        )

    def by_key(self, rules: ConnectionRules | None = None, **changes: Any) -> FakeControl:
        """A control where the key of the client opens the gateway, and the same key, signed with by control, the target."""
        key = asyncssh.read_private_key(self.private)
        return FakeControl(
            target=self.target(**{"offers": (Relayed.PRIVATE_KEY,), **changes}),
            rules=rules or make_rules(gateway_login=True),
            user_keys=(self.public,),
            credential=messages.CredentialAnswer(session="", ask=0, public_keys=(self.public,)),
            signer=lambda _text, algorithm, data: key.sign(data, algorithm.encode()),
        )

    def options(self, port: int) -> list[str]:
        """Options of OpenSSH's programs, without port and destination, for a client that comes by key."""
        return [
            "-F", "none", "-i", str(self.private), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", f"Port={port}",
        ]  # fmt: skip

    def ssh(self, port: int, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run ssh to a port, by key."""
        return run(["ssh", *self.options(port), *words], **options)

    def ssh_asking(self, port: int, *words: str, user: str = ACCOUNT, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run ssh to a port, with the password."""
        environment = {**os.environ, "SSH_ASKPASS": str(self.ask), "SSH_ASKPASS_REQUIRE": "force"}
        command = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        command += ["-o", "LogLevel=ERROR", "-o", "PubkeyAuthentication=no", "-p", str(port), f"{user}@127.0.0.1", *words]
        return run(command, env=environment, **options)


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a program and take what it says."""
    options.setdefault("input", b"")  # never what the tests themselves were started with
    return subprocess.run(command, capture_output=True, check=False, **options)


@contextmanager
def open_site(**options: Any) -> Iterator[Site]:
    """Start a target."""
    with open_directory("ssh") as directory:
        yield from _open_site(directory, options)


def _open_site(directory: Path, options: dict[str, Any]) -> Iterator[Site]:
    public = key_pair(directory, "id")[1]
    ask = directory / "ask"
    ask.write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
    ask.chmod(0o755)
    settings = options.pop("settings", "") + SETTINGS
    sshd = Sshd(directory / "target", [public], password=PASSWORD, settings=settings, **options)
    try:
        yield Site(directory, sshd.start(), public, directory / "id", ask)
    finally:
        sshd.stop()


def gateway(site: Site, **changes: Any) -> Gateway:
    """A gateway where clients come by key. ``rules`` and what a target has may be changed; ``keep`` as of observers."""
    keep = changes.pop("keep", True)
    return Gateway(partial(site.by_key, **changes), make_observer=lambda: FakeObserver(keep=keep))


def ended(gateway: Gateway, number: int = -1) -> Any:
    """A session once it is over."""
    served = until(lambda: gateway.served and gateway.served[number])
    until(lambda: served.outcome is not None, what="end of the session")
    return served
