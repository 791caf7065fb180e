"""The host keys of servers that are trusted: typed records of the store, kept apart from the configuration. No worker imports it.

A key is known by its type, the host and the port: ``ssh-ed25519-10.110.0.1:22``. Nothing replaces one by itself: another key of
the same type takes a DELETE first.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from doorward.sessions.admission import one_address
from doorward.store.port import Store, StoredRecord
from doorward.tree.fields import host_name
from doorward.tree.times import now

KIND = "ssh_host_key"
"""Under which the store keeps them."""
MAX_KEYS = 100_000


class OtherKeyError(Exception):
    """The host has another key of this type, which is trusted."""

    def __init__(self, known: HostKey) -> None:
        super().__init__(f"{known.id} is trusted already with another key, {known.fingerprint}.")
        self.known = known


class TooManyKeysError(Exception):
    """There is no room for another."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A trusted key. ``public_key``: ``type base64``; ``learned``: since when, RFC 3339; ``by``: who trusted it."""

    type: str
    host: str
    port: int
    public_key: str
    fingerprint: str
    learned: str
    by: str

    @property
    def id(self) -> str:
        """What the key is known by."""
        return f"{self.type}-{self.host}:{self.port}"


class TrustedHostKeys:
    """All of them, in memory; changes are on the disk when a method returns. Safe in any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._keys: dict[str, HostKey] = {}
        self._by_host: dict[tuple[str, int], dict[str, HostKey]] = {}
        for record in reversed(store.records(KIND)):
            self._keep(HostKey(**record.body))

    def all(self) -> list[HostKey]:
        """Return all, by their ids."""
        with self._lock:
            return [self._keys[name] for name in sorted(self._keys)]

    def find(self, name: str) -> HostKey | None:
        """Return a key by its id."""
        return self._keys.get(name)

    def of(self, hosts: Iterable[str], port: int) -> list[HostKey]:
        """Return what is trusted for a server that is known by some names and addresses, each key once."""
        with self._lock:
            found = [key for host in hosts for key in self._by_host.get((canonical(host), port), {}).values()]
        return list({key.public_key: key for key in found}.values())

    def add(self, host: str, port: int, public_key: str, by: str) -> HostKey:
        """Trust a key from now on; the same one again changes nothing. Blocks. Raises OtherKeyError or TooManyKeysError."""
        kind = public_key.split(maxsplit=1)[0]
        made = HostKey(kind, canonical(host), port, public_key, fingerprint(public_key), now(), by)
        with self._lock:
            known = self._keys.get(made.id)
            if known is not None:
                if known.public_key != public_key:
                    raise OtherKeyError(known)
                return known
            if len(self._keys) >= MAX_KEYS:
                raise TooManyKeysError
            self._store.put_record(StoredRecord(KIND, made.id, asdict(made)))
            self._keep(made)
        return made

    def remove(self, name: str) -> bool:
        """Trust a key no longer; whether there was one. Blocks."""
        with self._lock:
            known = self._keys.get(name)
            if known is None:
                return False
            self._store.remove_record(KIND, name)
            del self._keys[name]
            self._by_host[known.host, known.port].pop(known.type)
        return True

    def _keep(self, key: HostKey) -> None:
        self._keys[key.id] = key
        self._by_host.setdefault((key.host, key.port), {})[key.type] = key


def canonical(host: str) -> str:
    """Return a host as it is kept: an address in its usual form, a name in lower case. Anything else as it is."""
    with contextlib.suppress(ValueError):
        return str(one_address(host))
    with contextlib.suppress(ValueError):
        return host_name(host)
    return host


def fingerprint(public_key: str) -> str:
    """Return the SHA-256 of a public key as OpenSSH shows it."""
    digest = hashlib.sha256(base64.b64decode(public_key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
