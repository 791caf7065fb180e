"""Where the catalogue is in PostgreSQL, and how it is reached: over a network by TLS alone, without a password that shows."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from doorward.tree.plaintext import plain

CREDENTIAL: Final = "catalogue-password"
"""Name of the systemd credential that has the password."""
_SCHEMES = ("postgresql://", "postgres://")
_KNOWN: Final = frozenset({"host", "port", "dbname", "user", "sslmode", "sslrootcert", "sslcert", "sslkey"})
_MAX_PASSWORD = 4096
_CONNECT_SECONDS = 5
_SILENT_MILLISECONDS = 10_000
"""How long the other side may not answer at all before a connection counts as lost."""


class AddressError(Exception):
    """An address, or a file with a password, that can't be used. The message says why, and has no password in it."""


class CatalogueAddress(Struct, frozen=True):
    """A database: parameters of libpq, and the file that has the password, if there is one."""

    parameters: tuple[tuple[str, str], ...]
    password_file: Path | None = None

    @property
    def shown(self) -> str:
        """What messages call it."""
        given = dict(self.parameters)
        return f"{given.get('host', 'the local socket')}/{given.get('dbname', '')}"

    def connection_options(self) -> dict[str, Any]:
        """Return what to connect with, as of now. Raises AddressError where the password can't be read."""
        options: dict[str, Any] = {
            **dict(self.parameters),
            "application_name": "doorward",
            "client_encoding": "utf8",
            "connect_timeout": _CONNECT_SECONDS,
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": _SILENT_MILLISECONDS,
        }
        if self.password_file is not None:
            options["password"] = _password(self.password_file)
        return options


def parsed(text: str, password_file: Path | None = None) -> CatalogueAddress:
    """Return an address such as ``postgresql://doorward@db.example.com/doorward``. Raises AddressError.

    Without ``password_file`` the password is that of the credential `CREDENTIAL`, if systemd gave one.
    """
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise AddressError("PostgreSQL needs the extra of the package: install doorward[postgresql]") from None
    if not text.startswith(_SCHEMES):
        raise AddressError("the catalogue must be postgresql://USER@HOST/DATABASE")
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(text).items() if value is not None}
    except ProgrammingError as error:
        # What libpq quotes may be the password itself.
        raise AddressError("the address of the catalogue can't be understood") from error
    if "password" in given:
        raise AddressError("a password in the address shows in lists of processes; put it into a file")
    if unknown := sorted(given.keys() - _KNOWN):
        raise AddressError(f"the address of the catalogue has parameters that are not known: {', '.join(map(plain, unknown))}")
    if not given.get("dbname"):
        raise AddressError("the address of the catalogue names no database")
    return CatalogueAddress(tuple(_with_tls(given).items()), password_file or _credential())


def _with_tls(given: dict[str, str]) -> dict[str, str]:
    hosts = given.get("host", "").split(",")
    if all(_is_here(host) for host in hosts):
        return given
    mode = given.setdefault("sslmode", "verify-full")
    if mode != "verify-full":
        raise AddressError(f"the catalogue is on another host, so sslmode must be verify-full, not {plain(mode)}")
    given.setdefault("sslrootcert", "system")
    return given


def _is_here(host: str) -> bool:
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credential() -> Path | None:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / CREDENTIAL if directory else None
    return path if path is not None and path.exists() else None


def _password(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                raise AddressError(f"{path} has the password of the catalogue and is open to everybody; chmod 600")
            data = file.read(_MAX_PASSWORD + 1)
    except OSError as error:
        raise AddressError(f"{path} can't be read: {error.strerror}") from error
    try:
        text = data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > _MAX_PASSWORD or "\0" in text:
        raise AddressError(f"{path} holds no password")
    return text
