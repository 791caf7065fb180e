"""Where administrators come in: what the configuration says, what is open, and what ``--listen`` and ``--cluster-port`` ask."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import structlog

from doorward.api.server import ADMIN
from doorward.appliance.options import Options, StartError
from doorward.host.errors import HostError
from doorward.host.nics import WILDCARDS, resolved
from doorward.host.resources import Listener
from doorward.listening.listeners import Listeners
from doorward.membership import channel
from doorward.transaction.candidate import Candidate
from doorward.transaction.order import Order
from doorward.transaction.pipeline import SYSTEM, ApplyFailed, Pipeline
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError

log = structlog.get_logger()

_OPEN_SECONDS = 10.0


class AdminListeners:
    """The listeners for administrators, by the running revision."""

    def __init__(self, options: Options, pipeline: Pipeline, listeners: Listeners) -> None:
        self._options, self._pipeline, self._listeners = options, pipeline, listeners

    def ignored(self) -> str | None:
        """Return a sentence where ``--listen`` asks for something else than the configuration, which counts."""
        options, wanted = self._options, self._wanted()
        asked = {str(address) for address in resolved(options.host)}
        met = [one for one in wanted if options.host in WILDCARDS or one.address in asked]
        if not options.listen_given or any(options.port in {0, one.port} for one in met):
            return None
        return (
            f"--listen {options.host}:{options.port} counts at the first start only;"
            f" this node listens where local_services/admin_web says: {', '.join(one.name for one in wanted)}."
        )

    def open_early(self) -> None:
        """Open them before the host converges: who asks learns that the server is starting. Runs in the commit thread.

        What can't be opened yet is left to the host, unless other programs have every address. Raises StartError.
        """
        taken: HostError | None = None
        opened = False
        for listener in self._wanted():
            try:
                self._listeners.open(listener, time.monotonic() + _OPEN_SECONDS)
                opened = True
            except HostError as failure:
                log.warning("a listener can't be opened yet", address=listener.name, reason=failure.reason)
                if isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.EADDRINUSE:
                    taken = failure
        if taken is not None and not opened:
            raise StartError(f"{taken.reason[0].upper()}{taken.reason[1:]}.") from taken

    def open(self) -> list[str]:
        """Return where administrators are served. Raises StartError where that is nowhere."""
        wanted = [one.name for one in self._wanted()]
        found = [name for name in wanted if self._listeners.at(name) is not None]
        if not found:
            raise StartError(f"No listener for administrators can be opened ({', '.join(wanted)}); the log says why.")
        return found

    def tell(self, file: Path) -> None:
        """Keep in a file where administrators are served, for the command line on this machine; without any, no file."""
        scheme = "http" if self._options.plain_http else "https"
        names = [one.name for one in self._wanted() if self._listeners.at(one.name) is not None]
        try:
            if not names:
                file.unlink(missing_ok=True)
                return
            part = file.with_name(f"{file.name}.part")
            part.write_text(f"{scheme}://{names[0]}\n", encoding="ascii")
            part.replace(file)
        except OSError as error:  # the disk is full, say; nobody but the command line asks for it
            log.warning("the address can't be written down", file=str(file), reason=error.strerror)

    def take_cluster_port(self) -> None:
        """Make the start option ``--cluster-port`` part of what runs. Runs in the commit thread. Raises StartError.

        Not while a commit awaits its confirmation: what comes after it could not be taken back with it.
        """
        wanted, pipeline, place = self._options.cluster_port, self._pipeline, Place(channel.PATH)
        if wanted is not None and wanted != channel.port(pipeline.running.snapshot):
            if pipeline.store.confirmation() is not None:
                raise StartError(f"--cluster-port {wanted} can't be used while a commit awaits its confirmation.")
            candidate = Candidate.on(pipeline.running)
            candidate.put(place, pipeline.tree.load(place, wanted))
            try:
                pipeline.commit(candidate, Order(SYSTEM, "", "The start option --cluster-port.", when_guarded="pass"))
            except (ApplyFailed, SemanticError) as error:
                raise StartError(f"--cluster-port {wanted} can't be used: {error}") from error

    def _wanted(self) -> list[Listener]:
        desired = self._pipeline.desired(self._pipeline.running.snapshot)
        return [one for one in desired if isinstance(one, Listener) and any(rule.service == ADMIN for rule in one.rules)]
