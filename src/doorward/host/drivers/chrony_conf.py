"""Where chronyd's things lie on a host, and the text of its `chrony.conf`."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

CONF: Final = "/etc/chrony/chrony.conf"
"""Host path of the daemon's own configuration, written by the driver."""

SOURCES_DIRECTORY: Final = "/etc/chrony/sources.d"
"""Host path of the directory whose *.sources files name the time sources."""

SOURCES: Final = f"{SOURCES_DIRECTORY}/doorward.sources"
"""Host path of the file that holds the configured sources."""

MAX_SERVERS: Final = 16
"""Entries that a list of time servers may have."""

KEPT: Final = f"{CONF}.before-doorward"
"""Host path under which the configuration found at the first start is kept."""


def authority_path(slot: int) -> str:
    """Host path of the authority for the server with a place in the list, from 1 on: chronyd's set of that number."""
    return f"/etc/chrony/doorward-nts-{slot}.pem"


def _trusted(root: str = "") -> str:
    return "".join(f"ntstrustedcerts {slot} {root}{authority_path(slot)}\n" for slot in range(1, MAX_SERVERS + 1))


class Layout(Struct, frozen=True):
    """Real paths (as chronyd and chronyc see them) and the daemon's options.

    `options` go to chronyd after its name; `directories` are made (0755) ahead of a start, `run` (0700) with them;
    `keep_old` saves a configuration that was there before ours.
    """

    conf: str
    text: bytes
    socket: str
    pid_file: str
    options: tuple[str, ...]
    directories: tuple[str, ...] = ()
    run: str | None = None
    keep_old: bool = False

    @property
    def touches_clock(self) -> bool:
        """Whether this chronyd may set the clock (no `-x`)."""
        return "-x" not in self.options


def system_text() -> bytes:
    """`chrony.conf` of a system host: our sources and no others, no service for others.

    Without `ntsdumpdir`: keys that outlive a restart would outlive the trust in the authority that they were agreed under.
    """
    return (
        b"sourcedir /etc/chrony/sources.d\n"
        b"driftfile /var/lib/chrony/chrony.drift\n"
        b"logdir /var/log/chrony\n"
        b"makestep 1.0 3\n"
        b"maxupdateskew 100.0\n"
        b"rtcsync\n"
        b"port 0\n"
    ) + _trusted().encode()


def sandbox_text(root: str, run: str) -> bytes:
    """`chrony.conf` of a sandbox.

    It is the system's below `root`, with its own command socket and pid file in `run`, no UDP command port.

    Neither path may hold white space: chronyd splits its lines there and knows no quoting.
    """
    return (
        f"sourcedir {root}{SOURCES_DIRECTORY}\n"
        f"driftfile {root}/var/lib/chrony/chrony.drift\n"
        f"logdir {root}/var/log/chrony\n"
        f"pidfile {run}/chronyd.pid\n"
        f"bindcmdaddress {run}/chronyd.sock\n"
        "cmdport 0\n"
        "makestep 1.0 3\n"
        "maxupdateskew 100.0\n"
        "port 0\n"
        f"{_trusted(root)}"
    ).encode()


def sandbox_layout(root: str, run: str, user: str, *, superuser: bool) -> Layout:
    """The layout of a sandbox whose chronyd runs as `user`.

    chronyd wants the directory of its socket to belong to the user it runs as, else it disables the socket and says
    so only in its log: without `-u` it compares with the package's user even when it could not become it.
    """
    return Layout(
        conf=f"{root}{CONF}",
        text=sandbox_text(root, run),
        socket=f"{run}/chronyd.sock",
        pid_file=f"{run}/chronyd.pid",
        options=("-x", "-d", *(() if superuser else ("-U",)), "-u", user),
        directories=tuple(f"{root}{path}" for path in (SOURCES_DIRECTORY, "/var/lib/chrony", "/var/log/chrony")),
        run=run,
    )


def system_layout(*, may_set_clock: bool) -> Layout:
    """The layout of a system host; without the right to set the clock (a container) chronyd only watches it."""
    return Layout(
        conf=CONF,
        text=system_text(),
        socket="/run/chrony/chronyd.sock",
        pid_file="/run/chrony/chronyd.pid",
        options=("-d",) if may_set_clock else ("-x", "-d"),
        directories=(SOURCES_DIRECTORY,),
        keep_old=True,
    )
