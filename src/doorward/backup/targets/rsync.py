"""Target ``rsync``: files over SSH by the ``rsync`` and ``ssh`` programs (backup contract, section 11.1).

Nothing but rsync runs on the server, so a key restricted to ``rrsync`` is enough. All calls share one connection.
rsync itself makes each file atomic: it writes a temporary file and renames it. Directories are given as ``<path>/.``, which
rsync enters but cannot make, so a path that is missing stays missing.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from doorward.backup.failure import BackupFailure
from doorward.backup.targets.attempt import Attempt, checked, reach
from doorward.backup.targets.hostkeys import identify
from doorward.backup.targets.port import Entry, Secret
from doorward.backup.targets.programs import Ended, need, run
from doorward.backup.targets.ssh import Login, meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE = re.compile(r"(?P<kind>[-a-z])\S+ +(?P<size>[\d,.]+) (?P<time>\d+/\d\d/\d\d \d\d:\d\d:\d\d) (?P<name>.*)")
_VERSIONS = re.compile(r"Protocol versions: remote=(\d+)")
_WILD = re.compile(r"[*?[]")
"""What the other side, a shell or ``rrsync``, takes for a wildcard; in brackets it is itself, to both of them."""
_OLDEST = 30
"""Protocol of rsync 3.0."""

_LOCKED = "Another instance of rrsync"
"""What ``rrsync`` says while the connection before is still ending there."""
_TRIES, _PAUSE_SECONDS = 20, 0.25

# By rsync's exit code, after what it said has told nothing better.
_EXITS = {
    10: "connection_lost",
    12: "connection_lost",
    30: "stalled",
    35: "timeout",
    127: "program_absent",
    255: "connection_lost",
}
# In this order; the number is the other side's errno.
_MEANINGS: tuple[tuple[str, str], ...] = (
    (r"No space left on device|\(28\)$", "no_space"),
    (r"[Qq]uota exceeded|\(122\)$", "quota"),
    (r"Read-only file system|\(30\)$|sending to read-only|write-only|read-only mode", "read_only_target"),
    (r"Permission denied|Operation not permitted|\((1|13)\)$", "permission_denied"),
    (r"rsync\S*: (command )?not found|rsync: No such file or directory|failed to exec rsync", "program_absent"),
    (r"No such file or directory|Not a directory|\((2|20)\)$", "no_such_path"),
    (r"is your shell clean|protocol version mismatch|protocol incompatibility", "protocol_unavailable"),
    (r"[Tt]imeout", "stalled"),
    (rf"{_LOCKED}|Cannot allocate memory|temporarily unavailable|Too many open files", "server_busy"),
)


def opened(target: Mapping[str, Any], secret: Secret, attempt: Attempt) -> RsyncTarget:
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
    made = RsyncTarget(target, key, attempt)
    try:
        made.check_path()
    except BaseException:
        made.close()
        raise
    return made


class RsyncTarget:
    """A directory on an SSH server."""

    def __init__(self, target: Mapping[str, Any], private_key: str, attempt: Attempt) -> None:
        self._attempt, self._target = attempt, target
        server = str(target["server"]["value"])
        self._remote = f"[{server}]:" if ":" in server else f"{server}:"
        self._path = _WILD.sub(r"[\g<0>]", str(target["path"]).rstrip("/"))
        self._config = "/".join((self._path, *attempt.directories))
        self._modern = True
        self._seen: dict[tuple[str, str], str | None] = {}
        attempt.workdir.mkdir(parents=True, exist_ok=True)
        self._directory = Path(tempfile.mkdtemp(prefix="target-", dir=attempt.workdir))
        self._login = Login(self._directory, private_key, target["server_host_keys"])

    def check_path(self) -> None:
        """Log in; see that the path is there and rsync on the server is not too old."""
        self._attempt.begin("authenticate")
        doing, first = "Logging in", self._attempt.directories[0]
        options = ["--list-only", f"--include=/{first}", "--exclude=*", "--debug=PROTO1"]
        ended = self._rsync(doing, options, [f"{self._remote}{self._path}/"])
        found = _VERSIONS.search(ended.out)
        if found and int(found[1]) < _OLDEST:
            raise self._attempt.failed("protocol_unavailable", doing, "the server has an rsync older than 3.0")
        self._seen = {(self._path, first): _kind(_listed(ended), first)}

    def prepare(self) -> None:
        """Make the directories one by one, each only when its name is free."""
        parent = self._path
        for name in self._attempt.directories:
            doing = f"Making the directory {name}"
            if (parent, name) in self._seen:  # when logging in, which saves a connection
                kind = self._seen.pop((parent, name))
            else:
                kind = _kind(self._list(doing, parent, [f"--include=/{name}", "--exclude=*"]), name)
            if kind is None:
                with self._staged() as stage:
                    (stage / name).mkdir(mode=0o700)
                    self._rsync(doing, ["--dirs"], [str(stage / name), f"{self._remote}{parent}/."])
            elif kind not in {"d", "l"}:
                raise self._attempt.failed("no_such_path", doing, "something else has the name of the directory")
            parent = f"{parent}/{name}"

    def names(self) -> list[Entry]:
        """List ``config``."""
        doing = "Listing the files"
        try:
            found = self._list(doing, self._config, [])
        except BackupFailure as failure:
            if failure.code != "no_such_path":
                raise
            self.check_path()  # says so when not even that is there
            return []
        return [entry for kind, entry in found if kind == "-"]

    def put(self, name: str, content: Path) -> None:
        """Send a file unless its name is taken, then compare both by checksum."""
        doing = f"Writing {checked(name)}"
        with self._staged() as stage:
            source = stage / name
            self._stage(content, source, doing)
            places = [str(source), f"{self._remote}{self._config}/."]
            report = "--out-format=%i %n"
            sent = self._send(doing, ["--ignore-existing", "--whole-file", "--chmod=F600", report], places)
            differs = self._rsync(doing, ["--checksum", "--dry-run", report], places)
        if _itemized(differs, name):
            if _itemized(sent, name):
                raise self._attempt.failed("verify_failed", doing, "the file on the target is not the one that was sent")
            raise self._attempt.failed("name_exists", doing, "there is another file of that name")

    def fetch(self, name: str, into: Path) -> None:
        """Receive a file."""
        doing = f"Reading {checked(name)}"
        if into.exists():
            raise FileExistsError(into)
        try:
            self._rsync(doing, ["--whole-file"], [f"{self._remote}{self._config}/{name}", str(into.absolute())])
        except BackupFailure as failure:
            into.unlink(missing_ok=True)
            raise self._here(failure, doing) from None
        if not into.is_file():
            raise self._attempt.failed("no_such_path", doing, "there is no file of that name")
        into.chmod(0o600)

    def fetch_all(self, names: Sequence[str], into: Path) -> None:
        """Receive files, one call for all."""
        doing = f"Reading {len(names)} files"
        # Rules travel inside of the connection, and not in the arguments of the other side.
        chosen = [f"--include=/{checked(name)}" for name in names]
        try:
            places = [f"{self._remote}{self._config}/", f"{into.absolute()}/"]
            self._rsync(doing, ["--dirs", "--whole-file", "--chmod=F600", *chosen, "--exclude=*"], places)
        except BackupFailure as failure:
            raise self._here(failure, doing) from None

    def delete(self, name: str) -> None:
        """Send an empty directory, where everything but the one name is left out of the comparison."""
        doing = f"Deleting {checked(name)}"
        with self._staged() as stage:
            options = ["--dirs", "--delete", "--max-delete=1", f"--include=/{name}", "--exclude=*"]
            try:
                self._rsync(doing, options, [f"{stage}/", f"{self._remote}{self._config}/."])
            except BackupFailure as failure:
                if failure.code != "no_such_path":
                    raise

    def partial(self) -> list[Entry]:
        """List what has the name of a temporary file of ours."""
        return [entry for entry in self.names() if self._attempt.leftover(entry.name)]

    def close(self) -> None:
        """Forget the key; remove the files of the conversation."""
        self._login.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _here(self, failure: BackupFailure, doing: str) -> BackupFailure:
        """Return what a failure to receive means: it is this machine that is full."""
        full = failure.code in {"no_space", "quota"}
        return self._attempt.failed("no_local_space", doing, "no space left on this machine") if full else failure

    def _list(self, doing: str, directory: str, filters: Sequence[str]) -> list[tuple[str, Entry]]:
        """Return kind and entry of what a directory holds, as far as the filters let it through."""
        ended = self._rsync(doing, ["--list-only", "--no-human-readable", *filters], [f"{self._remote}{directory}/"])
        return _listed(ended)

    def _send(self, doing: str, options: Sequence[str], places: Sequence[str]) -> Ended:
        """Send, flushed to the disk where the server's rsync knows how to (3.2.4).

        Such a one also sends its errors in order with the rest; what an older one says can be overtaken by the end.
        """
        if self._modern:
            try:
                return self._rsync(doing, ["--fsync", "--stderr=client", *options], places)
            except BackupFailure as failure:
                if not re.search(r"unknown option|invalid rsync|--fsync", failure.message):
                    raise
            self._modern = False
        return self._rsync(doing, options, places)

    def _stage(self, content: Path, source: Path, doing: str) -> None:
        """Give content the name that it has on the target; a copy only where it lies on another file system."""
        try:
            source.hardlink_to(content)
        except OSError:
            try:
                shutil.copyfile(content, source)
            except OSError as error:
                raise self._attempt.failed("no_local_space", doing, f"{error.strerror} on this machine") from None

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """Give an empty directory."""
        with tempfile.TemporaryDirectory(dir=self._directory) as stage:
            yield Path(stage)

    def _rsync(self, doing: str, options: Sequence[str], places: Sequence[str]) -> Ended:
        """Run rsync. Nothing of the source is kept but its content: no times, no owners, modes only of what is new."""
        attempt = self._attempt
        shell = self._login.command(self._target["username"], self._target["port"], attempt)
        stall = max(1, int(attempt.stall))
        command = ["rsync", "-e", shell, f"--timeout={stall}", *options, "--", *places]
        ended, log = run(attempt, doing, command, self._directory), self._login.said()
        tries = 1
        while _LOCKED in ended.err and tries < _TRIES and not attempt.stop.wait(_PAUSE_SECONDS):
            ended, log = run(attempt, doing, command, self._directory), self._login.said()
            tries += 1
        if ended.code:
            code, words = diagnosed(ended, log, self._target["server_host_keys"])
            raise attempt.failed(code, doing, words)
        return ended


def diagnosed(ended: Ended, log: str, host_keys: Sequence[str]) -> tuple[str, str]:
    """Return code and words of a run that failed: what rsync said of files first, then ssh (``log``), then the exit code."""
    lines = [line for line in ended.err.splitlines() if line.strip() and not line.startswith("rsync error:")]
    for pattern, code in _MEANINGS:
        line = next((line for line in lines if re.search(pattern, line.rstrip())), None)
        if line is not None:
            return code, line
    return meaning(log, host_keys) or (
        _EXITS.get(ended.code, "server_busy"),
        lines[0] if lines else f"rsync ended with {ended.code}",
    )


def _listed(ended: Ended) -> list[tuple[str, Entry]]:
    """Return kind and entry of each line of a list."""
    lines = filter(None, map(_LINE.fullmatch, ended.out.splitlines()))
    return [(line["kind"], _entry(line)) for line in lines if line["name"] != "."]


def _kind(listed: list[tuple[str, Entry]], name: str) -> str | None:
    return next((kind for kind, entry in listed if entry.name == name), None)


def _entry(line: re.Match[str]) -> Entry:
    when = datetime.strptime(line["time"], "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
    return Entry(line["name"], int(re.sub(r"\D", "", line["size"])), when.timestamp())


def _itemized(ended: Ended, name: str) -> bool:
    """Whether rsync reports a file as sent or different."""
    return any(line.split(" ", 1)[1:] == [name] for line in ended.out.splitlines())
