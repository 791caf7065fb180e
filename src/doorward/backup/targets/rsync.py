"""Target ``rsync``: files over SSH by the ``rsync`` and ``ssh`` programs (backup contract, section 11.1).

Nothing but rsync runs on the server, so a key restricted to ``rrsync`` is enough. All calls share one connection.
rsync itself makes each file atomic: it writes a temporary file and renames it. Directories are given as ``<path>/.``, which
rsync enters but cannot make, so a path that is missing stays missing.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from typing_extensions import override

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import Secret, TargetAttempt, checked, reach
from doorward.backup.targets.directory import TargetDirectory
from doorward.backup.targets.hostkeys import identify
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_LISTING, MAX_MANIFEST
from doorward.backup.targets.port import TargetFile, bounded
from doorward.backup.targets.programs import ProgramResult, need, run
from doorward.backup.targets.rsync_words import EXITS, LOCKED, diagnosed, itemized, kind_of, listed, protocol
from doorward.backup.targets.ssh import SshLogin
from doorward.host import unprivileged

_WILD = re.compile(r"[*?[]")
"""What the other side, a shell or ``rrsync``, takes for a wildcard; in brackets it is itself, to both of them."""
_OLDEST = 30
"""Protocol of rsync 3.0."""
_CHUNK = 1 << 20
_TRIES, _PAUSE_SECONDS = 20, 0.25


def opened(target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt) -> RsyncDirectory:
    """Log in and see that the path is there."""
    need(attempt, "rsync", "ssh")
    if attempt.step is not None:  # ssh does all of this itself, in one
        server, port = target["server"]["value"], target["port"]
        address = reach(attempt, server, port)
        attempt.begin("identify")
        identify(attempt, address, port, target["server_host_keys"])
    key = secret(target["authentication_key"])
    if key is None:
        raise attempt.failed("auth_failed", "Logging in", "the private key of the policy is not there")
    made = RsyncDirectory(target, key, attempt)
    try:
        made.check_path()
    except BaseException:
        made.close()
        raise
    return made


class RsyncDirectory(TargetDirectory):
    """A directory on an SSH server."""

    def __init__(self, target: Mapping[str, Any], private_key: str, attempt: TargetAttempt) -> None:
        super().__init__(attempt)
        self._target = target
        server, path = str(target["server"]["value"]), str(target["path"]).rstrip("/")
        self._remote = f"[{server}]:" if ":" in server else f"{server}:"
        # A relative path that begins with a colon would be the name of a daemon's module.
        self._path = _WILD.sub(r"[\g<0>]", path if path.startswith("/") or not target["path"].strip("/") else f"./{path}")
        self._config = "/".join((self._path, *attempt.directories))
        self._modern = True
        self._seen: dict[tuple[str, str], str | None] = {}
        attempt.workdir.mkdir(parents=True, exist_ok=True)
        self._directory = unprivileged.passage(attempt.node[:8], attempt.workdir)
        login = str(target["username"]), int(target["port"]), private_key, target["server_host_keys"]
        self._login = SshLogin(self._directory, server, *login)

    def check_path(self) -> None:
        """Log in; see that the path is there and rsync on the server is not too old."""
        self._attempt.begin("authenticate")
        doing, first = "Logging in", self._attempt.directories[0]
        options = ["--list-only", f"--include=/{first}", "--exclude=*", "--debug=PROTO1"]
        with self._staged() as stage, self._new_file() as out:
            self._rsync(doing, options, [f"{self._remote}{self._path}/"], stage, out=out)
            spoken = protocol(out)
            if spoken is not None and spoken < _OLDEST:
                raise self._attempt.failed("protocol_unavailable", doing, "the server has an rsync older than 3.0")
            self._seen = {(self._path, first): kind_of(listed(out), first)}

    def prepare(self) -> None:
        """Make the directories one by one, each only when its name is free."""
        parent = self._path
        for name in self._attempt.directories:
            doing = f"Making the directory {name}"
            if (parent, name) in self._seen:  # when logging in, which saves a connection
                kind = self._seen.pop((parent, name))
            else:
                with self._list(doing, parent, [f"--include=/{name}", "--exclude=*"]) as found:
                    kind = kind_of(found, name)
            if kind is None:
                with self._staged() as stage:
                    (stage / name).mkdir(mode=0o700)
                    self._rsync(doing, ["--dirs"], [f"./{name}", f"{self._remote}{parent}/."], stage)
            elif kind not in {"d", "l"}:
                raise self._attempt.failed("no_such_path", doing, "something else has the name of the directory")
            parent = f"{parent}/{name}"

    @override
    def names(self) -> list[TargetFile]:
        """List ``config``."""
        doing = "Listing the files"
        try:
            with self._list(doing, self._config, []) as found:
                return bounded(self._attempt, doing, (entry for kind, entry in found if kind == "-"))
        except BackupError as failure:
            if failure.code != "no_such_path":
                raise
            self.check_path()  # says so when not even that is there
            return []

    def put(self, name: str, content: Path) -> None:
        """Send a file unless its name is taken, then compare both by checksum."""
        doing = f"Writing {checked(name)}"
        with self._staged() as stage:
            self._stage(content, stage / name, doing)
            places = [f"./{name}", f"{self._remote}{self._config}/."]
            report = "--out-format=%i %n"
            sent = self._send(doing, ["--ignore-existing", "--whole-file", "--chmod=F600", report], places, stage)
            differs = self._rsync(doing, ["--checksum", "--dry-run", report], places, stage)
        if itemized(differs, name):
            if itemized(sent, name):
                raise self._attempt.failed("verify_failed", doing, "the file on the target is not the one that was sent")
            raise self._attempt.failed("name_exists", doing, "there is another file of that name")

    @override
    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Receive a file. Raises FileExistsError."""
        doing = f"Reading {checked(name)}"
        if into.exists():
            raise FileExistsError(into)
        with self._staged() as stage:
            self._receive(doing, [], f"{self._config}/{name}", stage, most, most)
            if not self._take(doing, stage / name, into, most):
                raise self._attempt.failed("no_such_path", doing, "there is no file of that name")

    @override
    def fetch_all(self, names: Sequence[str], into: Path, most: int = MAX_MANIFEST) -> None:
        """Receive files, one call for all."""
        doing = f"Reading {len(names)} files"
        # Rules travel inside of the connection, and not in the arguments of the other side.
        chosen = ["--dirs", *(f"--include=/{checked(name)}" for name in names), "--exclude=*"]
        with self._staged() as stage:
            self._receive(doing, chosen, f"{self._config}/", stage, most, most * len(names))
            for name in names:
                self._take(doing, stage / name, into / name, most)

    def delete(self, name: str) -> None:
        """Send an empty directory, where everything but the one name is left out of the comparison."""
        doing = f"Deleting {checked(name)}"
        with self._staged() as stage:
            options = ["--dirs", "--delete", "--max-delete=1", f"--include=/{name}", "--exclude=*"]
            try:
                self._rsync(doing, options, ["./", f"{self._remote}{self._config}/."], stage)
            except BackupError as failure:
                if failure.code != "no_such_path":
                    raise

    @override
    def close(self) -> None:
        """Forget the key; remove the files of the conversation."""
        self._login.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _receive(self, doing: str, options: Sequence[str], there: str, stage: Path, most: int, in_all: int) -> None:
        """Receive into a directory of ours: no file longer than ``most`` bytes, and not more than ``in_all`` of them together."""

        def watch() -> None:
            if _held(stage, 2 * in_all) >= 2 * in_all:
                raise self._too_much(doing)

        try:
            places = [f"{self._remote}{there}", "./"]
            self._rsync(doing, ["--whole-file", *options], places, stage, max_file=most + 1, watch=watch)
        except BackupError as failure:
            if "File too large" in failure.message:
                raise self._too_much(doing) from None
            if failure.code in {"no_space", "quota"}:
                raise self._attempt.failed("no_local_space", doing, "no space left on this machine") from None
            raise

    def _too_much(self, doing: str) -> BackupError:
        return self._attempt.failed("verify_failed", doing, "the server sends more than was ever written there")

    def _take(self, doing: str, received: Path, into: Path, most: int) -> bool:
        """Copy what rsync received to where it belongs; whether there is such a file. No link is followed on the way."""
        try:
            descriptor = os.open(received, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        with os.fdopen(descriptor, "rb") as source:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                return False
            if found.st_size > most:
                raise self._too_much(doing)
            try:
                with open(into, "xb", opener=partial(os.open, mode=0o600)) as sink:
                    shutil.copyfileobj(source, sink, _CHUNK)
            except OSError as error:
                into.unlink(missing_ok=True)
                raise self._attempt.failed("no_local_space", doing, f"{error.strerror} on this machine") from None
        return True

    @contextmanager
    def _list(self, doing: str, directory: str, filters: Sequence[str]) -> Iterator[Iterator[tuple[str, TargetFile]]]:
        """Give kind and entry of what a directory holds, as far as the filters let it through, one after the other."""
        options = ["--list-only", "--no-human-readable", *filters]
        with self._staged() as stage, self._new_file() as out:
            self._rsync(doing, options, [f"{self._remote}{directory}/"], stage, out=out)
            yield listed(out)

    def _send(self, doing: str, options: Sequence[str], places: Sequence[str], stage: Path) -> ProgramResult:
        """Send, flushed to the disk where the server's rsync knows how to (3.2.4).

        Such a one also sends its errors in order with the rest; what an older one says can be overtaken by the end.
        """
        if self._modern:
            try:
                return self._rsync(doing, ["--fsync", "--stderr=client", *options], places, stage)
            except BackupError as failure:
                if not re.search(r"unknown option|invalid rsync|--fsync", failure.message):
                    raise
            self._modern = False
        return self._rsync(doing, options, places, stage)

    def _stage(self, content: Path, source: Path, doing: str) -> None:
        """Give a copy of content the name that it has on the target."""
        try:
            shutil.copyfile(content, source)
            unprivileged.give(source)
        except OSError as error:
            raise self._attempt.failed("no_local_space", doing, f"{error.strerror} on this machine") from None

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """Give an empty directory, in which rsync may write."""
        with tempfile.TemporaryDirectory(dir=self._directory) as stage:
            unprivileged.give(Path(stage))
            yield Path(stage)

    def _new_file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._directory)

    def _rsync(self, doing: str, options: Sequence[str], places: Sequence[str], stage: Path, **limits: Any) -> ProgramResult:
        """Run rsync in a directory. Nothing of the source is kept but its content: no times or owners, modes of what is new."""
        attempt = self._attempt
        stall = max(1, int(attempt.stall))
        command = ["rsync", "-e", self._login.command, f"--timeout={stall}", *options, "--", *places]
        if "out" in limits:
            limits = {"max_file": MAX_LISTING, **limits}
        tries = 0
        while True:
            self._login.connect(attempt, doing)
            ended = run(attempt, doing, command, stage, **limits)
            tries += 1
            if LOCKED not in ended.err or tries == _TRIES or attempt.stop.wait(_PAUSE_SECONDS):
                break
        if "out" in limits and limits["out"].seek(0, os.SEEK_END) >= MAX_LISTING:  # rsync itself may not mind
            raise attempt.failed("protocol_unavailable", doing, "the server lists far too much")
        if not ended.code:
            return ended
        log = self._login.last_words() if EXITS.get(ended.code) == "connection_lost" else ""
        code, words = diagnosed(ended, log, self._target["server_host_keys"])
        raise attempt.failed(code, doing, words)


def _held(directory: Path, enough: int) -> int:
    """Return how many bytes a directory holds, about: counting ends where it is enough. Every file counts as a block at least."""
    found = 0
    with suppress(OSError):
        for place, directories, files in os.walk(directory):
            for name in (*directories, *files):
                with suppress(OSError):
                    found += max(4096, Path(place, name).lstat().st_size)
                if found >= enough:
                    return found
    return found
