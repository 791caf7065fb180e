"""chronyd: its own configuration, start, reload, what it uses."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from typing_extensions import override

from doorward.host.drivers import chronyc
from doorward.host.drivers.chrony_conf import CONF, KEPT, MAX_SERVERS, SOURCES, SOURCES_DIRECTORY, Layout, authority_path
from doorward.host.errors import HostError, os_reason
from doorward.host.files import DiskFiles, FileEntry, make_directory
from doorward.host.kinds import READ_BACK_SECONDS
from doorward.host.kinds.daemon import Driver
from doorward.host.plan import HostWarning

if TYPE_CHECKING:
    from doorward.host.drivers.service import DaemonService
    from doorward.host.resources import Daemon

_START_POLL: Final = 0.01
_MISSING: Final = "chronyd is not installed on this machine"

_log = structlog.stdlib.get_logger(__name__)


class Chrony(Driver):
    """Driver of the daemon "chronyd". All calls block."""

    def __init__(
        self,
        layout: Layout,
        files: DiskFiles,
        service: DaemonService,
        *,
        program: str | None,
        ask: chronyc.AskChronyd,
    ) -> None:
        """`program` is the path of chronyd, None when it is not installed; `ask` reaches the running one."""
        self._layout = layout
        self._files = files
        self._service = service
        self.program = program
        self._ask = ask
        self._absence = None if program else _MISSING
        self.touches_clock = layout.touches_clock
        self._trusted: dict[str, bytes] | None = None
        """The authorities by path as they were at its start; None where that is not known."""
        self.generation = 0
        """Grows with every start and reload: what was read before is then out of date."""

    def prepare(self) -> None:
        """Make directories, take over `chrony.conf`; a daemon that already runs with another one is restarted."""
        altered = self._ready()
        if self._absence is not None or not self._service.active():
            return
        self._trusted = self._authorities()
        if altered:
            self._service.restart()
            self._await_answer("chronyd", time.monotonic() + READ_BACK_SECONDS)

    def _ready(self) -> bool:
        """Directories and `chrony.conf` as they must be; whether the latter was not."""
        try:
            for directory in self._layout.directories:
                make_directory(Path(directory), 0o755)
            return self._write_conf()
        except OSError as error:
            raise HostError(os_reason(f"preparing {Path(self._layout.conf).parent} for chronyd failed", error)) from error

    def stop(self) -> None:
        """End the daemon if it is ours."""
        self._service.stop()

    @override
    def absence(self) -> str | None:
        """Not installed, or not allowed to run here."""
        return self._absence

    @override
    def running(self) -> bool:
        """Whether its process runs and it answers."""
        return self._absence is None and self._service.active() and self._answers()

    @override
    def start(self, daemon: Daemon, deadline: float) -> None:
        """Start it (a process that does not answer is replaced) and wait for its socket."""
        self._ready()
        if self._service.active():
            self._service.restart()
        else:
            self._service.start()
        self._await_answer(daemon.name, deadline)

    @override
    def restart(self, daemon: Daemon, deadline: float) -> None:
        """Restart it and wait for its socket."""
        self._ready()
        self._service.restart()
        self._await_answer(daemon.name, deadline)

    @override
    def reload(self, daemon: Daemon, deadline: float) -> None:
        """Re-read the source files. chronyd says "200 OK" whatever they hold: only `listed` proves anything."""
        self._ask("reload", "sources")
        self.generation += 1

    @override
    def listed(self) -> frozenset[str]:
        """The sources it uses, as configured, unresolved ones included."""
        return chronyc.listed(self._ask)

    @override
    def drift(self, daemon: Daemon) -> list[HostWarning]:
        """A changed `chrony.conf`, and source files of others."""
        found = []
        conf = self._conf()
        if not self._is_ours(conf):
            message = f"{CONF} is missing" if conf is None else f"{CONF} was changed by someone else"
            found.append(HostWarning("configuration_drift", message, daemon.origin, f"file {CONF}"))
        for name in self._files.names(SOURCES_DIRECTORY):
            path = f"{SOURCES_DIRECTORY}/{name}"
            # chronyd reads only *.sources, the README of the package for one is no source.
            if name.endswith(".sources") and path != SOURCES:
                message = f"{path} is not ours and may add time sources"
                found.append(HostWarning("foreign_source", message, daemon.origin))
        return found

    @override
    def is_altered(self) -> bool:
        """Whether `chrony.conf` is not ours any more, or an authority is not what it was at the start."""
        return not self._is_ours(self._conf()) or (self._trusted is not None and self._trusted != self._authorities())

    def _authorities(self) -> dict[str, bytes]:
        """The authorities of time servers as they lie there; one that can't be read counts as none."""
        there, found = set(self._files.names(str(Path(CONF).parent))), {}
        for path in map(authority_path, range(1, MAX_SERVERS + 1)):
            if Path(path).name in there:
                with suppress(HostError):
                    if (entry := self._files.read(path)) is not None:
                        found[path] = entry.content
        return found

    def _conf(self) -> FileEntry | None:
        """`chrony.conf` as it stands, None where it can't be read."""
        try:
            return self._files.read(CONF)
        except HostError:
            return None

    def _is_ours(self, conf: FileEntry | None) -> bool:
        return conf is not None and (conf.content, conf.target) == (self._layout.text, None)

    def _answers(self) -> bool:
        try:
            self._ask("-c", "tracking")
        except HostError:
            return False
        return True

    def _await_answer(self, name: str, deadline: float) -> None:
        began = time.monotonic()
        socket = Path(self._layout.socket)
        self.generation += 1
        self._trusted = self._authorities()
        while not (socket.exists() and self._service.active() and self._answers()):
            if time.monotonic() >= deadline:
                raise HostError(f"{name} did not start within {max(deadline - began, 0):.2g} s")
            time.sleep(_START_POLL)

    def _write_conf(self) -> bool:
        """Put `chrony.conf` in place when it differs; whether it did."""
        found = self._files.read(CONF)
        if self._is_ours(found):
            return False
        self._check_conf()
        if self._layout.keep_old and found is not None and self._files.read(KEPT) is None:
            self._files.write(KEPT, found)
        self._files.write(CONF, FileEntry(self._layout.text))
        return True

    def _check_conf(self) -> None:
        """Ask chronyd itself whether it takes the text, since a bad line would keep it from starting."""
        if self.program is None:
            return
        trial = CONF.replace("chrony.conf", ".doorward-check.tmp")
        self._files.write(trial, FileEntry(self._layout.text))
        try:
            result = subprocess.run(
                [self.program, "-p", "-f", str(self._files.locate(trial))],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=5,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError("chronyd could not be asked to check its configuration") from error
        finally:
            self._files.remove(trial)
        if result.returncode == 0:
            return
        said = (result.stderr + result.stdout).decode(errors="replace")
        _log.warning("chronyd refuses its configuration", said=said.strip())
        if "Permission denied" in said:
            # Seen where AppArmor confines chronyd to the system's own paths. That is the machine owner's rule: it is
            # reported, not evaded.
            where = Path(self._layout.conf).parent
            self._absence = f"chronyd may not read {where} (a security profile such as AppArmor's confines it)"
            return
        raise HostError(f"chronyd refuses the configuration meant for {CONF}")
