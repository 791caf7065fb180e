"""The ``ssh`` program as the transport of rsync: pinned host keys, one private key, nothing of the machine's own settings.

One process logs in and keeps the connection; rsync's calls go through it, each as a session of its own. So what the server says
before the login, its banner for one, and what ssh says itself never mix with the words of rsync. A server that ends the
connection with the first session gets a new one for the next.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from doorward.backup.targets.attempt import CONNECT_SECONDS, TargetAttempt
from doorward.backup.targets.programs import end, environment
from doorward.host import unprivileged

_ALIAS = "doorward-target"
_DIRECTORY, _SOCKET = "login", "control"
"""Where the files of the login lie, and among them the socket by which rsync's calls find the connection."""
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""Algorithms for a type of host key, where they are not named as the type. Never SHA-1."""
_TICK_SECONDS, _LAST_WORDS_SECONDS = 0.01, 0.5
_MAX_LOG = 64 * 1024


class SshLogin:
    """A login on an SSH server. The private key lies in a file that exists in memory only and goes with the process.

    ``directory`` may be entered by the account that programs run as.
    """

    def __init__(self, directory: Path, server: str, user: str, port: int, private_key: str, host_keys: Sequence[str]) -> None:
        self._server, self._user, self._port, self._host_keys = server, user, port, tuple(host_keys)
        self._directory = directory / _DIRECTORY
        self._directory.mkdir(0o700)
        known_hosts = self._directory / "known_hosts"
        known_hosts.write_text("".join(f"{_ALIAS} {key}\n" for key in host_keys), encoding="ascii")
        known_hosts.chmod(0o644)
        unprivileged.give(self._directory)
        self._key, self._log = (_in_memory(name) for name in ("key", "log"))
        os.write(self._key, private_key.encode())
        self._read = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> str:
        """The command for rsync, run in a directory beside that of the login; no argument has a blank or a quote.

        It uses the connection that is there, and makes none itself.
        """
        options = {
            "BatchMode": "yes", "ControlMaster": "no", "ControlPath": f"../{_DIRECTORY}/{_SOCKET}", "LogLevel": "QUIET",
            "ProxyCommand": "false",
        }  # fmt: skip
        return " ".join(["ssh", "-F/dev/null", "-axT", *_given(options)])

    def connect(self, attempt: TargetAttempt, doing: str) -> None:
        """Log in, unless the connection is still there. Raises BackupError."""
        if self._process is not None and self._process.poll() is None and self._is_ready():
            return
        self._disconnect()
        with suppress(FileNotFoundError):
            (self._directory / _SOCKET).unlink()
        self._process = process = subprocess.Popen(
            unprivileged.command(["ssh", *self._arguments(attempt)]), cwd=self._directory, env=environment(), umask=0o077,
            stdin=self._key, stdout=self._log, stderr=subprocess.DEVNULL, start_new_session=True, restore_signals=False,
        )  # fmt: skip
        began = time.monotonic()
        while not self._is_ready():
            attempt.check(doing)
            if time.monotonic() - began > CONNECT_SECONDS + attempt.stall:
                raise attempt.failed("stalled", doing, "the login does not come to an end")
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_TICK_SECONDS)
                raise attempt.failed(*self._failure(doing, code))

    def _failure(self, doing: str, code: int) -> tuple[str, str, str]:
        said = self.said()
        found = meaning(said, self._host_keys)
        last = next(iter(said.splitlines()[::-1]), f"ssh ended with {code}")
        return (found[0], doing, found[1]) if found else ("connection_lost", doing, last)

    def _is_ready(self) -> bool:
        """Whether somebody is logged in: only then ssh makes its socket."""
        return (self._directory / _SOCKET).is_socket()

    def _arguments(self, attempt: TargetAttempt) -> list[str]:
        connect = max(1, int(min(CONNECT_SECONDS, attempt.stall, attempt.left)))
        options = {
            "AddressFamily": "any", "BatchMode": "yes", "CheckHostIP": "no", "ClearAllForwardings": "yes",
            "ConnectTimeout": connect, "ConnectionAttempts": 1, "ControlMaster": "yes", "ControlPath": _SOCKET,
            "ControlPersist": "no",
            "GSSAPIAuthentication": "no", "GlobalKnownHostsFile": "/dev/null", "HostKeyAlgorithms": self._algorithms(),
            "HostKeyAlias": _ALIAS, "HostbasedAuthentication": "no", "IdentitiesOnly": "yes", "IdentityAgent": "none",
            "KbdInteractiveAuthentication": "no", "LogLevel": "VERBOSE", "PasswordAuthentication": "no",
            "PermitLocalCommand": "no", "Port": self._port, "PreferredAuthentications": "publickey",
            "PubkeyAuthentication": "yes", "ServerAliveCountMax": 4, "ServerAliveInterval": 15,
            "StrictHostKeyChecking": "yes", "UpdateHostKeys": "no", "User": self._user, "UserKnownHostsFile": "known_hosts",
            "VerifyHostKeyDNS": "no",
        }  # fmt: skip
        # Of all that ssh inherits it keeps its three standard files only: two of them are the key and the log.
        return ["-F/dev/null", "-E", "/proc/self/fd/1", "-axTN", "-i", "/proc/self/fd/0", *_given(options), "--", self._server]

    def _algorithms(self) -> str:
        kinds = dict.fromkeys(key.split()[0] for key in self._host_keys)
        return ",".join(name for kind in kinds for name in _SIGNATURES.get(kind, (kind,)))

    def said(self) -> str:
        """Return what ``ssh`` itself said since the last time."""
        words = os.pread(self._log, _MAX_LOG, self._read)
        self._read += len(words)
        return words.decode("utf-8", "replace")

    def last_words(self) -> str:
        """Return what ``ssh`` itself said since the last time, when the connection ends just now."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_WORDS_SECONDS)
        return self.said()

    def close(self) -> None:
        """End the connection; forget the key."""
        self._disconnect()
        os.close(self._key)
        os.close(self._log)

    def _disconnect(self) -> None:
        if self._process is not None:
            end(self._process)
            self._process = None


def _given(options: Mapping[str, object]) -> list[str]:
    return [f"-o{name}={value}" for name, value in options.items()]


def _in_memory(name: str) -> int:
    """Return an open file that lies in memory and on no disk, for the programs' account alone."""
    made = os.memfd_create(name)
    os.fchmod(made, 0o600)
    unprivileged.give(made)
    return made


def fingerprint(key: str) -> str:
    """Return the fingerprint of a public key ``type base64`` as OpenSSH shows it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


# In this order: the first that is found tells. Each begins as ssh's own line does, for further on words of the server may stand.
_MEANINGS: tuple[tuple[str, str], ...] = (
    (r"ssh: Could not resolve hostname", "resolve"),
    (r"@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED", "host_key_mismatch"),
    (r"Unable to negotiate with \S+ port \d+: no matching host key type", "host_key_mismatch"),
    (r"Host key verification failed|No \S+ host key is known for", "host_key_mismatch"),
    (r"Unable to negotiate with", "protocol_unavailable"),
    (r"Protocol major versions differ|Bad remote protocol version|[Ii]nvalid SSH identification", "protocol_unavailable"),
    (r"banner exchange: Connection \S+ \S+ port \d+: (invalid format|could not read protocol version)", "protocol_unavailable"),
    (r"\S+: Permission denied \(|Load key |No supported authentication methods", "auth_failed"),
    (r"Received disconnect from \S+ port \d+:(14:|2: Too many authentication failures)", "auth_failed"),
    (r"Timeout, server \S+ not responding", "stalled"),
    (r"(ssh: connect to|Connection|banner exchange:|ssh_dispatch_run_fatal:) .*[Tt]imed out", "timeout"),
    (r"kex_exchange_identification: (Not allowed at this time|.*MaxStartups|Too many connections)", "server_busy"),
    (r"ssh: connect to host .*(Connection refused|No route to host|unreachable|Bad file descriptor|Cannot assign)", "connect"),
    (r"Received disconnect|Disconnected from|Connection |ssh_dispatch_run_fatal:", "connection_lost"),
    (r"kex_exchange_identification:|client_loop:|banner exchange:|Bad packet|Corrupted MAC|.*Broken pipe$", "connection_lost"),
)  # fmt: skip


def meaning(log: str, host_keys: Sequence[str]) -> tuple[str, str] | None:
    """Return the code, and words for people, of what ``ssh`` said; None when it had nothing to complain about."""
    lines = log.splitlines()
    for pattern, code in _MEANINGS:
        line = next((line for line in lines if re.match(pattern, line)), None)
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
