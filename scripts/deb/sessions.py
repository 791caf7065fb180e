"""Sessions of SSH through the gateway in a machine: to its own sshd, as a user who types."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Final

from scripts.deb.machine import ADDRESS, Machine

TARGET: Final = 2022
"""Port of the server that sessions go to."""
_PASSWORD: Final = "of-the-target"  # noqa: S105 - of a server that lives as long as the trial
TARGET_SETTINGS: Final = f"""\
cat > /etc/ssh/sshd_config.d/trial.conf <<END
Port {TARGET}
PermitRootLogin yes
PasswordAuthentication yes
END
echo 'root:{_PASSWORD}' | chpasswd
printf '#!/bin/sh\\necho {_PASSWORD}\\n' > /var/local/ask
chmod 755 /var/local/ask
systemctl restart ssh
"""


OPTIONS: Final = (
    "-F none -T -o UserKnownHostsFile=known -o StrictHostKeyChecking=accept-new -o PubkeyAuthentication=no -o LogLevel=ERROR"
)
"""Of a client that trusts the first host key that it sees."""


class Session:
    """A user who types; ``command`` is a client whose program on the server says everything again."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def types(self, word: str) -> bool:
        """Type a line; return whether the server got it, and we what it said."""
        stdin, stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        try:
            stdin.write(f"{word}\n".encode())
            stdin.flush()
        except BrokenPipeError:
            return False
        return stdout.readline() == f"{word}\n".encode()

    def has_ended(self) -> bool:
        """Return whether it is over."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Close it, or see that it is closed."""
        self._process.kill()
        self._process.wait()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("not a pipe")
    return stream


@contextmanager
def typing(command: Sequence[str]) -> Iterator[Session]:
    """Have a session for the time of a block."""
    began = Session(command)
    try:
        yield began
    finally:
        began.end()


def session(machine: Machine) -> AbstractContextManager[Session]:
    """Have a session in a machine, through its gateway to its own server."""
    line = f"exec ssh {OPTIONS} root@{ADDRESS}:{TARGET}@{ADDRESS} cat"
    return typing(machine.command(line, SSH_ASKPASS="/var/local/ask", SSH_ASKPASS_REQUIRE="force"))
