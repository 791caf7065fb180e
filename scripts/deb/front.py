"""A server that was taken over, in a machine: what its account and its unit leave it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from scripts.deb.machine import Machine, expect

_PROBE: Final = Path(__file__).with_name("probe.py")
_DROP_IN: Final = "/run/systemd/system/doorward.service.d/trial.conf"
_STATE: Final = "/var/lib/doorward"
WRITTEN: Final = {
    _STATE, "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock", "/run/screen",  # noqa: S108 - its own, by PrivateTmp=
    *(f"/dev/{name}" for name in ("full", "null", "ptmx", "pts/ptmx", "random", "tty", "urandom", "zero")),
}  # fmt: skip
"""Where it may write."""
REACHED: Final = {
    "/run/doorward/host.sock",
    "/run/dbus/system_bus_socket",
    *(f"/run/systemd/journal/{name}" for name in ("dev-log", "socket", "stdout")),
    *(f"/run/systemd/{name}" for name in ("notify", "private", "io.system.ManagedOOM", "userdb/io.systemd.DynamicUser")),
    # Of Debian 13.
    "/run/ssh-unix-local/socket",
    "/run/systemd/io.systemd.Credentials",
    "/run/systemd/io.systemd.Hostname",
    "/run/systemd/io.systemd.ManagedOOM",
}
"""Who listens to it, and judges by himself what it may ask for."""


def taken_over(machine: Machine) -> None:
    """Run a program that tries everything in place of the server; look at what became of it."""
    place = machine.root / "usr/local/lib/doorward-probe.py"
    place.write_bytes(_PROBE.read_bytes())
    machine.run(
        f"""mkdir -p {Path(_DROP_IN).parent}
cat > {_DROP_IN} <<END
[Service]
Type=oneshot
Restart=no
WatchdogSec=0
ExecStart=
ExecStart=/usr/lib/doorward/bin/python -I /usr/local/lib/doorward-probe.py
StandardOutput=truncate:/var/local/found.json
END
before=$(cat /proc/sys/kernel/hostname /etc/timezone)
systemctl daemon-reload && systemctl restart doorward
rm {_DROP_IN} && systemctl daemon-reload && systemctl start doorward
test "$(cat /proc/sys/kernel/hostname /etc/timezone)" = "$before" """
    )
    found = json.loads(machine.run("cat /var/local/found.json"))
    expect(set(found["written"]) <= WRITTEN, f"a server that was taken over writes to {', '.join(found['written'])}")
    expect(not found["read"], "reads of what is not everybody's its own files alone")
    expect(set(found["reached"]) <= REACHED, f"talks to {', '.join(found['reached'])}")
    expect(not found["done"], f"and fails in {len(found['refused'])} other ways")


def led_astray(machine: Machine, package: str) -> None:
    """Have it leave links where root works in its directory: an upgrade gives nothing away."""
    away = "setpriv --reuid=doorward --regid=doorward --clear-groups --"
    machine.run(f"mkdir /etc/not-yours && {away} mv {_STATE}/trails {_STATE}/aside")
    machine.run(f"{away} ln -s /etc/not-yours {_STATE}/trails")
    expect(not machine.is_so(f"dpkg --install {package}"), "an installation stops at a link that the server left")
    expect(machine.run("stat -c '%U %a' /etc/not-yours") == "root 755\n", "and follows it nowhere")
    machine.run(f"rm {_STATE}/trails && mv {_STATE}/aside {_STATE}/trails && dpkg --configure --pending && rmdir /etc/not-yours")
