"""Takes a package through its life in a minimal Debian with its own systemd: installed, used, upgraded, removed, purged.

``python -m scripts.deb.trial --root TAR OLD NEW``, as root. What ``docs/install.md`` and
``docs/recovery.md`` say is pasted from there.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from scripts.deb.front import led_astray, taken_over
from scripts.deb.interrupted import full, killed, older, serves, version
from scripts.deb.machine import ADDRESS, Machine, expect, unpacked, until
from scripts.deb.pages import NEWER, PACKAGE, block
from scripts.deb.sessions import TARGET, TARGET_SETTINGS, session

THRESHOLDS: Final = {"doorward": 2.0, "doorward-workers": 2.0, "doorward-host": 3.0}
"""The highest exposure that ``systemd-analyze security`` may find, of 10."""
_STATE: Final = "/var/lib/doorward"
_APT: Final = 'APT::Get::Assume-Yes "true";\nDPkg::Options { "--force-confold"; };\n'
"""Nobody is there to be asked."""

_ENCRYPTION: Final = """\
gpg --batch --quiet --passphrase '' --quick-generate-key holder@example.com future-default default never
{
  printf 'encryption:\\n  enabled: true\\n  gpg_public_key:\\n    public_key: |\\n'
  gpg --armor --export holder@example.com | sed 's/^/      /'
} > encryption.yaml
doorward set --yes management/exported_configuration_encryption @encryption.yaml
"""
_NEW_PASSWORD: Final = "new-password"  # noqa: S105 - the name of a file, as the page has it
_KEPT: Final = "/srv/backup/doorward/config"
"""Where the backups are, of which the guide says how to come to them."""


def running(machine: Machine) -> None:
    """Wait until the node serves, as its command line finds it."""
    until(lambda: serves(machine), "the start")


def installed(machine: Machine, package: str) -> None:
    """Install, and look at what a newcomer finds."""
    began = time.monotonic()
    machine.run(block("install", **{PACKAGE: f"./{package}"}))
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
    machine.run(TARGET_SETTINGS)
    machine.run(f"doorward quickstart ssh --yes --port 22 root@{ADDRESS}:{TARGET}")
    with session(machine) as first:
        expect(first.types("one"), "a session through port 22")
    machine.run(_ENCRYPTION)
    here = {"192.0.2.9": ADDRESS, "PORT=22": f"PORT={TARGET}", "rm backup-key key.yaml": "rm key.yaml"}
    machine.run(block("backups to a server", **here) + block("on the backup server") + block("the policy"))
    machine.run(f"install -m 600 {_KEPT}/*.gpg . && cp {_STATE}/initial-admin-password lost-password")
    shown = machine.run(block("drill"), ARCHIVE=_archive(machine))
    expect("restorable" in shown, "an encrypted backup is on the target, and would come back")


def watched(machine: Machine) -> None:
    """Open the console, and scrape figures with a token, from outside of the machine."""
    machine.run("doorward tokens create prometheus --path /api/metrics --json > token.json")
    bearer = json.loads(machine.run("cat token.json"))["token"]
    curl = ["curl", "--silent", "--fail", "--cacert", str(machine.root / "var/lib/doorward/tls/ca.pem")]
    page = machine.outside(*curl, f"https://{ADDRESS}/console/")
    expect('<div id="root">' in page, "the console is on port 443")
    figures = machine.outside(*curl, "--header", f"Authorization: Bearer {bearer}", f"https://{ADDRESS}/api/metrics")
    expect("doorward_build_info{" in figures, "a scrape with a token gets figures")
    machine.outside("promtool", "check", "metrics", said=figures)


def upgraded(machine: Machine, package: str) -> None:
    """Restart and upgrade under a session that goes on."""
    with session(machine) as typing:
        expect(typing.types("before"), "a session begins")
        workers = machine.status("doorward-workers")["Pid"]
        machine.run(block("restart"))
        expect(typing.types("restarted"), "a restart of the server: the session goes on")
        running(machine)
        machine.run(block("upgrade", **{NEWER: f"./{package}"}))
        expect(typing.types("upgraded"), "an upgrade: the session goes on")
        with session(machine) as other:
            expect(other.types("new"), "and the next one waits for the new server")
        expect(machine.status("doorward-workers")["Pid"] == workers, "in the workers of the old release")
        running(machine)
        expect(version(machine) in package, "the new release is there")
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
    machine.run(f"printf 'correct-horse-battery-9\\n' > {_NEW_PASSWORD}")
    machine.run(block("password"))
    line = f"doorward --password-file {_NEW_PASSWORD} get datetime/timezone"
    expect("America/New_York" in machine.run(line), "a lost password is replaced")


def removed(machine: Machine) -> None:
    """Remove, purge, and put back what stays in effect."""
    machine.run(block("remove"))
    expect(
        machine.is_so(f"test -e {_STATE}/doorward.db && ! test -e /usr/lib/doorward"), "removed: the state stays, nothing else"
    )
    expect(not machine.is_so("pgrep -f '[d]oorward'"), "and nothing runs")
    machine.run(block("purge"))
    expect(
        machine.is_so(f"! test -e {_STATE} && ! getent passwd doorward && ! getent passwd _doorward-workers"),
        "purged: no state, no account",
    )
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
    # What was committed stays in effect; another machine would have its own time zone, which a first start takes over.
    machine.run("echo Etc/UTC > /etc/timezone && ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime")
    machine.run(block("later start", **{PACKAGE: f"./{package}"}))
    running(machine)
    expect("America/New_York" not in machine.run("doorward get datetime/timezone"), "installed again, with nothing")
    archive = _archive(machine)
    machine.run(f"cp {_STATE}/initial-admin-password first-password && ssh-keyscan -p {TARGET} {ADDRESS} > known_hosts")
    [pin] = re.findall(r"^Key: +(\S+)$", machine.run("doorward status"), re.MULTILINE)
    stranger = f"! (gpg --quiet --decrypt {archive} | doorward restore --yes --scope system --take-over -) 2>&1"
    [signer] = set(re.findall(r"SHA256:[\w+/]{43}", machine.run(stranger)))
    began = time.monotonic()
    shown = machine.run(
        block("rsync"), URL=f"https://{ADDRESS}", PIN=pin, SIGNER=signer, ARCHIVE=archive,
        SERVER=ADDRESS, PORT=str(TARGET), ACCOUNT="doorward-backup", DIRECTORY="/doorward",
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
        watched(machine)
        full(machine, newer)
        upgraded(machine, newer)
        killed(machine, newer)
        taken_over(machine)
        led_astray(machine, newer)
        maintained(machine)
        older(machine, package, newer, _NEW_PASSWORD)
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
