"""Takes a package through its life in a minimal Debian with its own systemd: installed, used, upgraded, removed, purged.

``python -m scripts.deb.trial --root TAR OLD NEW``, as root. What ``docs/install.md`` and
``docs/recovery.md`` say is pasted from there.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from scripts.deb.build import ROOT
from scripts.deb.machine import ADDRESS, Machine, expect, unpacked, until

PAGES: Final = (ROOT / "docs/install.md", ROOT / "docs/recovery.md")
THRESHOLDS: Final = {"doorward": 2.0, "doorward-workers": 2.0, "doorward-host": 3.0}
"""The highest exposure that ``systemd-analyze security`` may find, of 10."""
_PACKAGE: Final = "./doorward_*~deb12_*.deb"
"""As the page has it."""
_TARGET: Final = 2022
"""Port of the server that sessions go to."""
_PASSWORD: Final = "of-the-target"  # noqa: S105 - of a server that lives as long as the trial
_STATE: Final = "/var/lib/doorward"
_APT: Final = 'APT::Get::Assume-Yes "true";\nDPkg::Options { "--force-confold"; };\n'
"""Nobody is there to be asked."""

_TARGET_SETTINGS: Final = f"""\
cat > /etc/ssh/sshd_config.d/trial.conf <<END
Port {_TARGET}
PermitRootLogin yes
PasswordAuthentication yes
END
echo 'root:{_PASSWORD}' | chpasswd
useradd --create-home --home-dir /srv/keeper --shell /bin/bash keeper
printf '#!/bin/sh\\necho {_PASSWORD}\\n' > /var/local/ask
chmod 755 /var/local/ask
systemctl restart ssh
"""
_BACKUPS: Final = f"""\
gpg --batch --quiet --passphrase '' --quick-generate-key holder@example.com future-default default never
ssh-keygen -q -t ed25519 -N '' -f backup-key
install -d -o keeper -m 700 ~keeper/.ssh ~keeper/kept
install -o keeper -m 600 backup-key.pub ~keeper/.ssh/authorized_keys
{{ printf 'private_key: |\\n'; sed 's/^/  /' backup-key; }} > key.yaml
KEY=$(doorward add --yes private_keys @key.yaml | sed -n 's/^Key: //p')
HOST_KEY=$(doorward backup host-keys --port {_TARGET} {ADDRESS} | grep -o 'ssh-ed25519 .*')
{{
  printf 'encryption:\\n  enabled: true\\n  gpg_public_key:\\n    public_key: |\\n'
  gpg --armor --export holder@example.com | sed 's/^/      /'
}} > encryption.yaml
doorward set --yes management/exported_configuration_encryption @encryption.yaml
doorward add --yes policies/backup_policies - <<END
name: nightly
target:
  type: rsync
  server: {{selection: ip, value: {ADDRESS}}}
  port: {_TARGET}
  username: keeper
  path: /srv/keeper/kept
  authentication_key: $KEY
  server_host_keys: ["$HOST_KEY"]
start_times: ["02:30"]
END
doorward set --yes management/system_backup.backup_policy nightly
doorward backup now
"""


def block(name: str, **exchanged: str) -> str:
    """Return the commands of the pages that begin with a comment of this name; words of it may be exchanged."""
    written = "".join(page.read_text("utf-8") for page in PAGES)
    [found] = re.findall(rf"```sh\n# {name}\n(.*?)```", written, re.DOTALL)
    text = str(found)
    for old, new in exchanged.items():
        if old not in text:
            raise SystemExit(f"the block {name!r} no longer has {old}")
        text = text.replace(old, new)
    return text


class Session:
    """A user who types, through the gateway."""

    def __init__(self, machine: Machine) -> None:
        options = (
            "-F none -o UserKnownHostsFile=known -o StrictHostKeyChecking=accept-new -o PubkeyAuthentication=no -o LogLevel=ERROR"
        )
        line = f"exec ssh -T {options} root@{ADDRESS}:{_TARGET}@{ADDRESS} cat"
        command = machine.command(line, SSH_ASKPASS="/var/local/ask", SSH_ASKPASS_REQUIRE="force")
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
def session(machine: Machine) -> Iterator[Session]:
    """Have a session for the time of a block."""
    began = Session(machine)
    try:
        yield began
    finally:
        began.end()


def running(machine: Machine) -> None:
    """Wait until the node serves, as its command line finds it."""
    until(lambda: machine.is_so("systemctl is-active --quiet doorward && doorward get datetime/timezone"), "the start")


def installed(machine: Machine, package: str) -> None:
    """Install, and look at what a newcomer finds."""
    began = time.monotonic()
    machine.run(block("install", **{_PACKAGE: f"./{package}"}))
    running(machine)
    expect(True, f"installed and serving after {time.monotonic() - began:.0f} s")  # noqa: FBT003 - it is reached
    shown, journal = machine.run(block("look")), machine.run("journalctl --no-pager")
    expect(f"Doorward is ready at https://{ADDRESS}:443" in journal, "the journal tells the address")
    expect(re.search(r"SHA-256 fingerprint (\w\w:){31}\w\w\.", journal), "the fingerprint of its certificate")
    expect(f"{_STATE}/initial-admin-password" in journal, "and where the first password is")
    expect(machine.run(f"cat {_STATE}/initial-admin-password").strip() not in journal, "but not the password")
    expect("Traceback" not in journal, "nothing broke")
    expect(f"Address:   https://{ADDRESS}:443" in shown, "doorward status needs no option")
    expect(machine.run(f"stat -c '%U %G %a' {_STATE}") == "doorward _doorward-workers 710\n", "the state directory is shut")


def confined(machine: Machine) -> None:
    """Look at the rights of the three services, as the kernel and systemd have them."""
    front = machine.status("doorward")
    found = (front["Uid"].split()[0] != "0", int(front["CapEff"], 16), front["NoNewPrivs"], front["Seccomp"])
    expect(found == (True, 1 << 10, "1", "2"), "the server: not root, one capability, a filter of system calls")
    workers = machine.status("doorward-workers")
    expect((int(workers["CapBnd"], 16), workers["Seccomp"]) == (0, "2"), "the workers: none, and a filter")
    helper = machine.status("doorward-host")
    expect((helper["Uid"].split()[0], helper["Seccomp"]) == ("0", "2"), "the helper: root, with a filter")
    levels = dict(re.findall(r"^(doorward\S*)\.service +([0-9.]+) ", machine.run(block("exposure")), re.MULTILINE))
    expect(
        all(float(levels[name]) <= most for name, most in THRESHOLDS.items()),
        f"exposure: {', '.join(f'{name} {levels[name]}' for name in THRESHOLDS)}",
    )


def used(machine: Machine) -> None:
    """Commit, let sessions through, back up: what needs the helper, the workers, gpg, ssh and rsync."""
    machine.run("doorward set --yes datetime/timezone America/New_York")
    expect(machine.run("cat /etc/timezone") == "America/New_York\n", "a commit took effect through the helper")
    machine.run(_TARGET_SETTINGS)
    machine.run(f"doorward quickstart ssh --yes --port 22 root@{ADDRESS}:{_TARGET}")
    with session(machine) as first:
        expect(first.types("one"), "a session through port 22")
    machine.run(_BACKUPS)
    machine.run("install -m 600 /srv/keeper/kept/config/*.gpg . && cp /var/lib/doorward/initial-admin-password lost-password")
    shown = machine.run(block("drill"), ARCHIVE=_archive(machine))
    expect("restorable" in shown, "an encrypted backup is on the target, and would come back")


def upgraded(machine: Machine, package: str) -> None:
    """Restart and upgrade under a session that goes on."""
    with session(machine) as typing:
        expect(typing.types("before"), "a session begins")
        workers = machine.status("doorward-workers")["Pid"]
        machine.run(block("restart"))
        expect(typing.types("restarted"), "a restart of the server: the session goes on")
        running(machine)
        machine.run(block("upgrade", **{"./doorward_NEW.deb": f"./{package}"}))
        expect(typing.types("upgraded"), "an upgrade: the session goes on")
        with session(machine) as other:
            expect(other.types("new"), "and the next one waits for the new server")
        expect(machine.status("doorward-workers")["Pid"] == workers, "in the workers of the old release")
        running(machine)
        expect(machine.run("dpkg-query -W -f '${Version}' doorward") in package, "the new release is there")
        expect("America/New_York" in machine.run("doorward get datetime/timezone"), "with the state of before")
        machine.run(block("new workers"))
        until(typing.has_ended, "the end of the session")
        expect(machine.status("doorward-workers")["Pid"] != workers, "workers of the new release, when they are told")
    with session(machine) as last:
        expect(last.types("last"), "which carry sessions")


def maintained(machine: Machine) -> None:
    """Run what works on the state directory itself."""
    expect("is whole" in machine.run(block("verify")), "the history is whole and the host as configured")
    machine.run(block("data key"))
    running(machine)
    expect("is whole" in machine.run(block("verify")), "also under a new data key")
    machine.run("printf 'correct-horse-battery-9\\n' > new-password")
    machine.run(block("password"))
    line = "doorward --password-file new-password get datetime/timezone"
    expect("America/New_York" in machine.run(line), "a lost password is replaced")


def removed(machine: Machine) -> None:
    """Remove, purge, and put back what stays in effect."""
    machine.run(block("remove"))
    expect(
        machine.is_so(f"test -e {_STATE}/doorward.db && ! test -e /usr/lib/doorward"), "removed: the state stays, nothing else"
    )
    expect(not machine.is_so("pgrep -f '[d]oorward'"), "and nothing runs")
    machine.run(block("purge"))
    expect(machine.is_so(f"! test -e {_STATE} && ! grep doorward /etc/passwd"), "purged: no state, no account")
    expect(not machine.is_so("systemctl cat doorward || systemctl cat doorward-host.socket"), "and no unit")
    machine.run(block("time servers"))
    expect(not machine.is_so("grep -ri doorward /etc/chrony"), "the old time servers are back")
    machine.run(block("accounts"))
    expect(machine.is_so("getent passwd doorward _doorward-workers"), "accounts for a start by hand")


def _archive(machine: Machine) -> str:
    """Return the name of the archive that was made."""
    return machine.run("ls *.config.gpg").strip()


def recovered(machine: Machine, package: str) -> None:
    """Install again, and make it the machine that was purged, by the line of the page."""
    machine.run(block("later start", **{_PACKAGE: f"./{package}"}))
    running(machine)
    expect("America/New_York" not in machine.run("doorward get datetime/timezone"), "installed again, with nothing")
    archive = _archive(machine)
    machine.run(f"cp {_STATE}/initial-admin-password first-password && ssh-keyscan -p {_TARGET} {ADDRESS} > known_hosts")
    [pin] = re.findall(r"^Key: +(\S+)$", machine.run("doorward status"), re.MULTILINE)
    stranger = f"! (gpg --quiet --decrypt {archive} | doorward restore --yes --scope system --take-over -) 2>&1"
    [signer] = set(re.findall(r"SHA256:[\w-]{43}", machine.run(stranger)))
    began = time.monotonic()
    shown = machine.run(
        block("rsync"), URL=f"https://{ADDRESS}", PIN=pin, SIGNER=signer, ARCHIVE=archive,
        SERVER=ADDRESS, PORT=str(_TARGET), ACCOUNT="keeper", DIRECTORY="/srv/keeper/kept",
    )  # fmt: skip
    expect("is in effect" in shown, f"restored by one line in {time.monotonic() - began:.0f} s")
    line = "doorward --password-file lost-password get datetime/timezone"
    expect("America/New_York" in machine.run(line), "with its settings and its password")
    expect(machine.run("cat /etc/timezone") == "America/New_York\n", "also on the machine")


def live(machine: Machine, package: str, newer: str) -> None:
    """Take the package through its life."""
    try:
        installed(machine, package)
        confined(machine)
        used(machine)
        upgraded(machine, newer)
        maintained(machine)
        removed(machine)
        recovered(machine, newer)
    except BaseException:
        sys.stderr.write(machine.says())
        raise


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(prog="scripts.deb.trial", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="archive of a minimal Debian with systemd")
    parser.add_argument("packages", type=Path, nargs=2, metavar="PACKAGE", help="the package, and a newer one")
    given = parser.parse_args()
    package, newer = given.packages
    with unpacked(given.root) as machine:
        for one in given.packages:
            shutil.copy(one, machine.root / "root" / one.name)
        # The booted machine has no network: what the package depends on and recommends lies where apt looks first.
        machine.prepare(f"apt-get update && apt-get install -y --download-only ~/{package.name}")
        (machine.root / "etc/apt/apt.conf.d/trial").write_text(_APT)
        (machine.root / "etc/default/chrony").write_text('DAEMON_OPTS="-x -F 1"\n')  # the clock is this machine's
        with machine.booted():
            live(machine, package.name, newer.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
