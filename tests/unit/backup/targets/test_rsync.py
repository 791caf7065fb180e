"""What rsync and ssh say, and which code that is. The words are those of real programs."""

from __future__ import annotations

import pytest

from doorward.backup.targets import ssh
from doorward.backup.targets.programs import ProgramResult
from doorward.backup.targets.rsync_words import diagnosed

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAzyksCHWZ1EvdHxZRaoRZT4dRy9qBskmtVDBxgVmZKK"
CLOSED = "rsync: connection unexpectedly closed (0 bytes received so far) [sender]\n"


@pytest.mark.parametrize(
    ("code", "said", "log", "expected"),
    [
        (11, 'rsync: [receiver] write failed on "/s/.x": No space left on device (28)\n', "", "no_space"),
        (11, 'rsync: [receiver] write failed on "/s/.x": Disk quota exceeded (122)\n', "", "quota"),
        (23, 'rsync: [receiver] mkstemp "/s/.x" failed: Permission denied (13)\n', "", "permission_denied"),
        (23, 'rsync: [generator] recv_generator: mkdir "/s/c" failed: Operation not permitted (1)\n', "", "permission_denied"),
        (23, 'rsync: [receiver] mkstemp "/s/.x" failed: Read-only file system (30)\n', "", "read_only_target"),
        (12, "/usr/bin/rrsync error: sending to read-only server is not allowed\n" + CLOSED, "", "read_only_target"),
        (23, 'rsync: [sender] change_dir "/nope" failed: No such file or directory (2)\n', "", "no_such_path"),
        (12, "sh: 1: rsync: not found\n" + CLOSED, "Authenticated to x\n", "program_absent"),
        (127, "bash: line 1: rsync: command not found\n" + CLOSED, "", "program_absent"),
        (2, "protocol version mismatch -- is your shell clean?\n", "", "protocol_unavailable"),
        (30, "[sender] io timeout after 120 seconds -- exiting\n", "", "stalled"),
        (255, CLOSED, "ssh: connect to host 10.0.0.1 port 22: Connection refused\n", "connect"),
        (255, CLOSED, "ssh: connect to host 10.0.0.1 port 22: Connection timed out\n", "timeout"),
        (255, CLOSED, "Connection timed out during banner exchange\n", "timeout"),
        (255, CLOSED, "ssh: Could not resolve hostname backup.invalid: Name or service not known\n", "resolve"),
        (255, CLOSED, "doorward@10.0.0.1: Permission denied (publickey).\n", "auth_failed"),
        (255, CLOSED, "Unable to negotiate with 10.0.0.1 port 22: no matching cipher found.\n", "protocol_unavailable"),
        (255, CLOSED, "kex_exchange_identification: Connection closed by remote host\n", "connection_lost"),
        (255, CLOSED, "kex_exchange_identification: Not allowed at this time\n", "server_busy"),
        (255, CLOSED, "Authenticated to h\nTimeout, server 10.0.0.1 not responding.\n", "stalled"),
        (12, CLOSED, "Authenticated to h ([10.0.0.1]:22).\nTransferred: sent 10\n", "connection_lost"),
        # What the server says in lines that rsync and ssh do not make themselves tells nothing.
        (255, "Session timeout: 15 minutes.\n" + CLOSED, "x@h: Permission denied (publickey).\n", "auth_failed"),
        (255, "No space left on device\n" + CLOSED, "x@h: Permission denied (publickey).\n", "auth_failed"),
        (12, "motd: read the rules: Permission denied (13)\n" + CLOSED, "", "connection_lost"),
        (23, 'rsync: [sender] open "/a: No space left on device (28)" failed: Permission denied (13)\n', "", "permission_denied"),
        (255, CLOSED, "Received disconnect from 10.0.0.1 port 22:11: Connection refused, timed out\n", "connection_lost"),
        (255, CLOSED, "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\n", "auth_failed"),
        (12, "/usr/bin/rrsync error: post-realpath open failed: /d/ No such file or directory\n" + CLOSED, "", "no_such_path"),
        (99, "", "", "server_busy"),
    ],
)  # fmt: skip
def test_what_was_said_tells_the_code(code: int, said: str, log: str, expected: str) -> None:
    found, words = diagnosed(ProgramResult(code, "", said), log, [KEY])
    assert found == expected
    assert words


def test_ssh_reads_nothing_of_the_machine(tmp_path: object) -> None:
    assert ssh.fingerprint(KEY).startswith("SHA256:")
    words = ssh.mismatch("SHA256:abc", [KEY, KEY])
    assert words.count(ssh.fingerprint(KEY)) == 2
