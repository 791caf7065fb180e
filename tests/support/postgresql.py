"""A cluster of Debian's PostgreSQL on a Unix socket, one for all processes of a run, with databases made from a template."""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.postgresql import schema
from doorward.sessions.catalogue.postgresql.connection import WRITING, PostgresConnection
from tests.support.server import WORKER_VARIABLE

_TEMPLATE = "doorward_template"
_names = count(1)
_SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200", "shared_buffers=32MB")


class Cluster:
    """A running cluster. ``directory`` holds its data and its socket."""

    def __init__(self, directory: Path, *settings: str, port: int = 5432) -> None:
        self.directory, self._settings, self._port = directory, settings, port
        self._used: list[str] = []

    @property
    def _owner(self) -> str | None:
        # PostgreSQL does not run as root.
        return "postgres" if os.geteuid() == 0 else None

    def own(self, file: Path) -> None:
        """Give a file to who the cluster runs as, and to nobody else."""
        file.chmod(0o600)
        if self._owner:
            shutil.chown(file, self._owner)

    def make(self) -> None:
        """Make it, with a template that has the tables."""
        self.directory.mkdir(mode=0o755, exist_ok=True)
        if self._owner:
            shutil.chown(self.directory, self._owner)
        self._run("initdb", "-D", str(self._data), "-U", "doorward", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"local all guarded scram-sha-256\n{rules.read_text()}")
        self.start()
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        made = PostgresConnection(self.address(_TEMPLATE), WRITING)
        schema.bring_up(made, self.address(_TEMPLATE))
        made.close()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [*_SETTINGS, "listen_addresses=", f"unix_socket_directories={self.directory}", *self._settings]
        given = " ".join(f"-c {one}" for one in options)
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "300", "-l", str(self.directory / "log"), "-o", given, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it, as a machine that loses its power would, or with ``fast`` in order."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "300", "-m", mode, "stop")

    def address(self, database: str) -> CatalogueAddress:
        """Return where a database is."""
        given = {"host": str(self.directory), "port": str(self._port), "user": "doorward", "dbname": database}
        return CatalogueAddress(tuple(given.items()))

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """Connect, for statements each of which is its own transaction."""
        return psycopg.connect(host=str(self.directory), port=self._port, user="doorward", dbname=database, autocommit=True)

    def database(self) -> str:
        """Make a database with empty tables; those that were made before and that nobody uses any more go."""
        name = f"d{os.getpid()}_{next(_names)}"
        with self.connect("postgres") as connection:
            for used in [*self._used]:
                with suppress(psycopg.errors.ObjectInUse):
                    connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(used)))
                    self._used.remove(used)
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(made.format(sql.Identifier(name), sql.Identifier(_TEMPLATE)))
        self._used.append(name)
        return name

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _run(self, program: str, *arguments: str) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        command = [str(found[-1]) if found else program, *arguments]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        if self._owner:
            environment["HOME"] = pwd.getpwnam(self._owner).pw_dir
        # What stays running must not hold the pipes of this process.
        with (self.directory / "said").open("ab") as said:
            done = subprocess.run(
                command, user=self._owner, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=environment, check=False,
                cwd=self.directory,
            )  # fmt: skip
        assert done.returncode == 0, (self.directory / "said").read_text()


@functools.cache
def cluster() -> Cluster:
    """Return the cluster of this run. Whoever comes first starts it, whoever goes last stops it."""
    alone = str(os.getppid() if WORKER_VARIABLE in os.environ else os.getpid())
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", alone)
    directory = Path(tempfile.gettempdir()) / f"doorward-postgresql-{run}"
    directory.mkdir(mode=0o755, exist_ok=True)
    using = os.open(directory / "using", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    starting = os.open(directory / "starting", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(starting, fcntl.LOCK_EX)
    found, is_made = Cluster(directory / "cluster"), directory / "made"
    if not is_made.exists():
        found.make()
        is_made.touch()
    fcntl.flock(using, fcntl.LOCK_SH)
    fcntl.flock(starting, fcntl.LOCK_UN)
    owner = os.getpid()

    def leave() -> None:
        if os.getpid() != owner:
            return
        fcntl.flock(starting, fcntl.LOCK_EX)
        with suppress(BlockingIOError):
            fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.stop()
            shutil.rmtree(directory, ignore_errors=True)
        os.close(using)
        os.close(starting)

    atexit.register(leave)
    return found
