"""The ``ssh`` program as the transport of rsync: pinned host keys, one private key, nothing of the machine's own settings.

The connection of the first call is kept for the later ones, by ``ssh`` itself in a process of its own. A server that does not let
several use one gets one for each: ``ssh`` falls back by itself.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from doorward.backup.targets.attempt import CONNECT_SECONDS, Attempt

_ALIAS = "doorward-target"
_SOCKET, _IDLE_SECONDS = "control", 60
"""Where later calls find the connection of the first; how long it outlives the last one if nobody closes it."""
_CLOSE_SECONDS = 2.0
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""Algorithms for a type of host key, where they are not named as the type. Never SHA-1."""


class Login:
    """What ``ssh`` needs to log in. The private key lies in a file that exists in memory only and goes with the process."""

    def __init__(self, directory: Path, private_key: str, host_keys: Sequence[str]) -> None:
        self._directory, self._log = directory, directory / "ssh.log"
        self._host_keys = tuple(host_keys)
        (directory / "known_hosts").write_text("".join(f"{_ALIAS} {key}\n" for key in host_keys), encoding="ascii")
        self._key = os.memfd_create("key")
        os.fchmod(self._key, 0o600)
        os.write(self._key, private_key.encode())

    def command(self, user: str, port: int, attempt: Attempt) -> str:
        """Return the command for rsync, run in the directory of the login; no argument has a blank or a quote."""
        connect = max(1, int(min(CONNECT_SECONDS, attempt.stall, attempt.left)))
        options = {
            "AddressFamily": "any", "BatchMode": "yes", "CheckHostIP": "no", "ClearAllForwardings": "yes",
            "ConnectTimeout": connect, "ConnectionAttempts": 1, "ControlMaster": "auto", "ControlPath": _SOCKET,
            "ControlPersist": _IDLE_SECONDS,
            "GSSAPIAuthentication": "no", "GlobalKnownHostsFile": "/dev/null", "HostKeyAlgorithms": self._algorithms(),
            "HostKeyAlias": _ALIAS, "HostbasedAuthentication": "no", "IdentitiesOnly": "yes", "IdentityAgent": "none",
            "KbdInteractiveAuthentication": "no", "LogLevel": "VERBOSE", "PasswordAuthentication": "no",
            "PermitLocalCommand": "no", "Port": port, "PreferredAuthentications": "publickey", "PubkeyAuthentication": "yes",
            "ServerAliveCountMax": 4, "ServerAliveInterval": 15, "StrictHostKeyChecking": "yes", "UpdateHostKeys": "no",
            "User": user, "UserKnownHostsFile": "known_hosts", "VerifyHostKeyDNS": "no",
        }  # fmt: skip
        given = [f"-o{name}={value}" for name, value in options.items()]
        identity = f"/proc/{os.getpid()}/fd/{self._key}"
        return " ".join(["ssh", "-F/dev/null", "-E", self._log.name, "-axT", "-i", identity, *given])

    def _algorithms(self) -> str:
        kinds = dict.fromkeys(key.split()[0] for key in self._host_keys)
        return ",".join(name for kind in kinds for name in _SIGNATURES.get(kind, (kind,)))

    def said(self) -> str:
        """Return what ``ssh`` itself said since the last time."""
        if not self._log.exists():
            return ""
        words = self._log.read_text(encoding="utf-8", errors="replace")
        os.truncate(self._log, 0)  # what keeps the connection goes on writing there
        return words

    def close(self) -> None:
        """End the connection; forget the key."""
        if (self._directory / _SOCKET).exists():
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    ["ssh", "-F/dev/null", f"-oControlPath={_SOCKET}", "-Oexit", _ALIAS], cwd=self._directory, check=False,
                    env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._directory)}, stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_CLOSE_SECONDS,
                )  # fmt: skip
        os.close(self._key)


def fingerprint(key: str) -> str:
    """Return the fingerprint of a public key ``type base64`` as OpenSSH shows it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


_AUTHENTICATED = "Authenticated to "
# In this order: the first that is found tells.
_MEANINGS: tuple[tuple[str, str], ...] = (
    ("Could not resolve hostname", "resolve"),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "host_key_mismatch"),
    ("no matching host key type", "host_key_mismatch"),
    ("Host key verification failed", "host_key_mismatch"),
    (r"no matching (key exchange method|cipher|MAC)", "protocol_unavailable"),
    (r"Protocol major versions differ|Bad remote protocol version|[Ii]nvalid SSH identification", "protocol_unavailable"),
    (r"banner exchange: Connection .*: invalid format", "protocol_unavailable"),
    (r"Permission denied \(|Too many authentication failures|Load key .*: |No supported authentication methods", "auth_failed"),
    ("Timeout, server .* not responding", "stalled"),
    (r"[Tt]imed out", "timeout"),
    (r"MaxStartups|Not allowed at this time|Too many connections", "server_busy"),
    (r"Connection refused|No route to host|unreachable|Bad file descriptor|Cannot assign requested address", "connect"),
    (r"closed by|reset by|Broken pipe|Connection corrupted|Bad packet|message authentication code incorrect|disconnect",
     "connection_lost"),
)  # fmt: skip


def meaning(log: str, host_keys: Sequence[str]) -> tuple[str, str] | None:
    """Return the code, and words for people, of what ``ssh`` said; None when it had nothing to complain about."""
    for pattern, code in _MEANINGS:
        line = next((line for line in log.splitlines() if re.search(pattern, line) and not line.startswith(_AUTHENTICATED)), None)
        if line is None:
            continue
        if code == "host_key_mismatch":
            return code, mismatch(_shown(log), host_keys)
        return code, line
    return None


def mismatch(shown: str, host_keys: Sequence[str]) -> str:
    """Return words about a host key that is not the pinned one."""
    expected = " or ".join(fingerprint(key) for key in host_keys)
    return f"the server shows {shown}, but the policy pins {expected}; nothing was sent"


def _shown(log: str) -> str:
    if found := re.search(r"SHA256:[A-Za-z0-9+/]+", log):
        return found[0]
    offer = re.search(r"Their offer: (\S+)", log)
    return f"keys of the types {offer[1]} only" if offer else "another host key"
