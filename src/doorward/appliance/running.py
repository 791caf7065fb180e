"""A node as a process: one for a state directory, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable

import structlog

from doorward import __version__, tracing
from doorward.access.setup_code import SetupCode
from doorward.appliance.node import Appliance
from doorward.appliance.options import Options, StartError
from doorward.backup.signing import SigningKeyError
from doorward.cluster.keys import NodeKeyError
from doorward.host.errors import HostError
from doorward.host.notify import notify, watchdog_seconds
from doorward.sessions.catalogue.sqlite.tables import CatalogueDamagedError
from doorward.store.anchor import HistoryKeyError
from doorward.store.lock import StateInUseError, locked
from doorward.store.port import StoreDamagedError
from doorward.store.vault import VaultError

log = structlog.get_logger()

_DAMAGED = (VaultError, StoreDamagedError, HistoryKeyError, NodeKeyError, SigningKeyError, CatalogueDamagedError)
"""What a start finds wrong in the state directory."""


def run(options: Options, say: Callable[[str], None] = print, warn: Callable[[str], None] = print) -> None:
    """Run a node until SIGTERM or SIGINT. Raises StartError."""
    began = time.monotonic()
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every connection takes a descriptor
    try:
        end_tracing = tracing.start(__version__)
    except tracing.MissingLibraryError as why:
        raise StartError(f"{why}.") from why
    try:
        with locked(options.state):
            _run(options, say, warn, began)
    except StateInUseError as why:
        raise StartError(str(why)) from why
    finally:
        end_tracing()


def _run(options: Options, say: Callable[[str], None], warn: Callable[[str], None], began: float) -> None:
    import uvloop

    try:
        appliance = Appliance(options, say, warn)
    except _DAMAGED as error:
        raise StartError(str(error)) from error
    except HostError as failure:
        raise StartError(f"{failure.reason[0].upper()}{failure.reason[1:]}.") from failure
    except sqlite3.Error as error:
        raise StartError(f"The store in {options.state} can't be written: {error}.") from error
    except OSError as error:
        raise StartError(f"{error.filename or options.state} can't be used: {error.strerror}.") from error

    def ready(address: str) -> None:
        log.info("serving", address=address, seconds=round(time.monotonic() - began, 3))
        gc.freeze()  # what a start makes stays for now; the area of memory looks at it once, in peace
        gc.enable()
        say(f"Doorward is ready at {address} ({options.machine} host, state in {options.state}).")
        notify("READY=1")
        _say_what_is_new(appliance, address, say)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        telling = asyncio.create_task(_tell_systemd(stop))
        try:
            await appliance.serve(ready, stop)
        except _DAMAGED as error:
            raise StartError(str(error)) from error
        finally:
            telling.cancel()

    try:
        uvloop.run(main())
    finally:
        appliance.close()


async def _tell_systemd(stop: asyncio.Event) -> None:
    """Tell systemd that the event loop lives, as often as it wants to know, and when it is to end."""
    seconds = watchdog_seconds()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
        notify("STOPPING=1" if stop.is_set() else "WATCHDOG=1")


def _say_what_is_new(appliance: Appliance, address: str, say: Callable[[str], None]) -> None:
    if appliance.new_fingerprint is not None:
        say(f"Browsers ask about its certificate, which has the SHA-256 fingerprint {appliance.new_fingerprint}.")
    if appliance.app.state != "serving":
        _say_how_to_set_up(address, appliance.setup_code, say)


def _say_how_to_set_up(address: str, code: SetupCode | None, say: Callable[[str], None]) -> None:
    say(f"It awaits its first settings: POST {address}/api/setup.")
    if code is not None:
        say(f"They must come with the header X-Setup-Code: {code.text} (until the next start; kept in {code.file}).")
