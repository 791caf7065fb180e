"""Upgrades that do not come to their end, and the way back to an older release, in a machine."""

from __future__ import annotations

from typing import Final

from scripts.deb.machine import Machine, expect, until
from scripts.deb.pages import NEWER, block
from scripts.deb.sessions import session

_LIB: Final = "/usr/lib/doorward"
_SPARE: Final = 20
"""Megabytes that a full disk has left: less than a package."""
_CODE: Final = "78"


def serves(machine: Machine, *, password: str = "") -> bool:
    """Return whether the server runs, as its command line finds it. ``password``: the file with that of admin."""
    login = f"--password-file {password}" if password else ""
    return machine.is_so(f"systemctl is-active --quiet doorward && doorward {login} get datetime/timezone")


def version(machine: Machine) -> str:
    """Return the version that is installed."""
    return machine.run("dpkg-query -W -f '${Version}' doorward")


def killed(machine: Machine, package: str) -> None:
    """Kill dpkg in the middle of unpacking; sessions and the server go on, also over a restart; then do it again."""
    with session(machine) as typing:
        machine.run(
            f"""dpkg --install ./{package} >/dev/null 2>&1 &
until find {_LIB} -name '*.dpkg-new' -print -quit | grep -q .; do kill -0 $!; done
kill -KILL $!
wait || true"""
        )
        state = machine.run("dpkg-query -W -f '${Status}' doorward")
        expect("installed" not in state.split(), f"an upgrade is killed while it unpacks: {state}")
        expect(typing.types("killed") and serves(machine), "the server and the session go on")
        machine.run("systemctl restart doorward")
        until(lambda: serves(machine), "the server, started anew")
        expect(typing.types("again"), "also when the server is started anew")
        machine.run(block("again", **{NEWER: f"./{package}"}))
        until(lambda: serves(machine), "the new server")
        expect(version(machine) in package and typing.types("done"), "the same upgrade once more, which works")


def full(machine: Machine, package: str) -> None:
    """Upgrade on a disk that is full: everything stays as it was."""
    before = version(machine)
    machine.run(
        f"""mkdir /mnt/full
mount -t tmpfs -o "size=$(($(du -sm {_LIB} | cut -f1) + {_SPARE}))m" full /mnt/full
cp -a {_LIB}/. /mnt/full
mount --bind /mnt/full {_LIB}"""
    )
    try:
        told = machine.run(f"! dpkg --install ./{package} 2>&1")
        expect(
            "No space left on device" in told and version(machine) == before, "an upgrade on a full disk leaves the old release"
        )
        machine.run("systemctl restart doorward")
        until(lambda: serves(machine), "the server, started anew")
        expect(not machine.run(f"find {_LIB} -name '*.dpkg-*'"), "which starts anew, and nothing half is there")
    finally:
        machine.run(f"umount --lazy {_LIB} /mnt/full && rmdir /mnt/full")


def older(machine: Machine, package: str, newer: str, password: str) -> None:
    """Install an older release on the state of a newer one: it is refused by name, once, and the newer one takes it again."""
    program = f"{_LIB}/lib/python3*/site-packages/doorward/__init__.py"
    become = f"sed -i 's/^__version__ = .*/__version__ = \"0.99.0\"/' {program} && systemctl restart doorward"
    machine.run(become)
    until(lambda: serves(machine, password=password), "a release of a later minor number")
    machine.run(f"apt install --allow-downgrades ./{package}")
    shown = "systemctl show --value --property "
    until(lambda: machine.run(f"{shown} ActiveState doorward") == "failed\n", "the end of the older release")
    expect(machine.run(f"{shown} ExecMainStatus doorward").strip() == _CODE, "an older release does not take the state")
    told = machine.run("journalctl --no-pager --unit doorward --lines 20")
    expect("was used by release 0.99.0; this is " in told, "it names both releases")
    expect(machine.run(f"{shown} NRestarts doorward") == "0\n", "and is not tried again")
    machine.run(f"apt install ./{newer} && {become}")
    until(lambda: serves(machine, password=password), "the newer release")
    expect(True, "the newer one takes it as it was")  # noqa: FBT003 - it is reached
