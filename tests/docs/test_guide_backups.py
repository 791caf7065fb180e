"""The section of the guide on backups does what it says, pasted into a shell beside a fresh server and a real sshd."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from doorward.configuration.policies import backup_policies
from tests.docs.guide import blocks, shell
from tests.system.backup_support import open_directory
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd

ADAPTED = "SERVER=192.0.2.9 PORT=22 ACCOUNT=doorward-backup DIRECTORY=/doorward\n"


@contextmanager
def started(directory: Path) -> Iterator[Sshd]:
    sshd = Sshd(directory, []).start()
    try:
        yield sshd
    finally:
        sshd.stop()


def test_the_way_to_an_ssh_server_is_true(tmp_path: Path) -> None:
    first, _, second = blocks("Backups", "sh")  # what is done on the server is pasted by make deb-test
    assert ADAPTED in first
    with open_directory("guide") as directory, started(directory) as sshd:
        stored = directory / "backup" / "doorward"
        stored.mkdir(parents=True)
        os.chown(stored, OWNER, OWNER)
        here = f"SERVER=127.0.0.1 PORT={sshd.port} ACCOUNT={ACCOUNT} DIRECTORY=/doorward\n"
        line = f'command="rrsync {stored.parent}",restrict'
        put_in = f"echo '{line}' \"$(cat backup-key.pub)\" > {sshd.directory}/authorized_keys\n"
        said = "(waiting\n)?(preparing\n)?(uploading\n)?(verifying\n)?"  # what it does whenever it is asked
        shown = shell(first.replace(ADAPTED, here) + put_in + second, tmp_path, said)
        assert len(list((stored / "config").iterdir())) == 2
    assert re.search(r"^SHA256:\S+ ssh-ed25519 \S+$", shown, re.MULTILINE)
    assert re.findall(r"^(\w+) +ok", shown, re.MULTILINE) == [
        "resolve", "connect", "identify", "authenticate", "write", "read_back", "delete"
    ]  # fmt: skip
    assert re.search(r"is stored on rsync://127\.0\.0\.1:\d+/doorward and proven\.", shown)
    assert "Policy:       nightly" in shown


def test_the_other_targets_are_what_a_policy_takes() -> None:
    [others] = blocks("Backups", "yaml")
    kinds = []
    for described in yaml.safe_load_all(others.replace("<its key>", "4b1e9d7c-0f4e-4a5b-9d5a-111111111111")):
        kinds.append(described["target"]["type"])
        backup_policies.BackupPolicy.model_validate({"name": "other", **described})
    assert kinds == ["smb", "nfs", "s3"]
