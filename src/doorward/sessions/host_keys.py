"""The host keys of servers that are trusted: typed records of the store, kept apart from the configuration. No worker imports it.

A key is known by its type, the host and the port: ``ssh-ed25519-10.110.0.1:22``. Nothing replaces one by itself: another key of
the same type takes a DELETE first.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import asdict, replace

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


class HostKey(Struct, frozen=True):
    """A trusted key. ``public_key``: ``type base64``; ``learned``: since when, RFC 3339; ``by``: who trusted it.

    ``is_told``: Central Management knows it.
    """

    type: str
    host: str
    port: int
    public_key: str
    fingerprint: str
    learned: str
    by: str
    is_told: bool = False

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
        self._digest = ""
        self.learned: Callable[[], None] = lambda: None
        """Called in whatever thread when a key was added here."""
        for record in reversed(store.records(KIND)):
            self._keep(HostKey(**record.body))

    def all(self) -> list[HostKey]:
        """Return all, by their ids."""
        with self._lock:
            return [self._keys[name] for name in sorted(self._keys)]

    def find(self, name: str) -> HostKey | None:
        """Return a key by its id."""
        return self._keys.get(name)

    def of(self, name: str, address: str, port: int) -> list[HostKey]:
        """Return what is trusted for a server that somebody named and that was found at an address.

        What is trusted for the name counts alone: whoever answers for names could else lead it to another server that is trusted
        under its address. Where nothing is, what is trusted for the address counts.
        """
        with self._lock:
            found = self._by_host.get((canonical(name), port)) or self._by_host.get((canonical(address), port), {})
            return list(found.values())

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
            self._put(made)
        self.learned()
        return made

    def remove(self, name: str) -> bool:
        """Trust a key no longer; whether there was one. Blocks."""
        with self._lock:
            known = self._keys.get(name)
            if known is not None:
                self._drop(known)
        return known is not None

    # In a cluster

    @property
    def digest(self) -> str:
        """What differs where any key does."""
        with self._lock:
            return self._digest_of_all()

    def untold(self, most: int) -> tuple[str, list[HostKey]]:
        """Return the digest of all keys, and some that Central Management was not told of."""
        with self._lock:
            return self._digest_of_all(), [key for _, key in sorted(self._keys.items()) if not key.is_told][:most]

    def take(self, keys: Sequence[HostKey]) -> list[HostKey]:
        """Trust what a node of the cluster came to trust, where no key of the same id is trusted; return those. Blocks."""
        with self._lock:
            room = MAX_KEYS - len(self._keys)
            taken = list({key.id: key for key in keys if key.id not in self._keys}.values())[:room]
            if taken:
                self._put(*taken)
        return taken

    def settle(self, told: Sequence[HostKey], trusted: Sequence[HostKey] | None) -> None:
        """Trust what Central Management does, and beside it only what it was not told of yet. None: the same keys. Blocks."""
        with self._lock:
            if trusted is None:
                trusted = [replace(key, is_told=True) for key in told if self._keys.get(key.id) == key]
                gone: list[HostKey] = []
            else:
                wanted = {key.id for key in trusted}
                sent = {key.id for key in told}
                gone = [key for key in self._keys.values() if key.id not in wanted and (key.is_told or key.id in sent)]
            news = [key for key in trusted if self._keys.get(key.id) != key]
            if gone:
                self._drop(*gone)
            if news:
                self._put(*news)

    def _digest_of_all(self) -> str:
        if not self._digest:
            lines = "".join(f"{name} {key.public_key}\n" for name, key in sorted(self._keys.items()))
            self._digest = hashlib.sha256(lines.encode()).hexdigest()
        return self._digest

    def _put(self, *keys: HostKey) -> None:
        self._store.put_record(*(StoredRecord(KIND, key.id, asdict(key)) for key in keys))
        for key in keys:
            self._keep(key)

    def _drop(self, *keys: HostKey) -> None:
        self._store.remove_record(KIND, *(key.id for key in keys))
        for key in keys:
            del self._keys[key.id]
            self._by_host[key.host, key.port].pop(key.type)
        self._digest = ""

    def _keep(self, key: HostKey) -> None:
        self._keys[key.id] = key
        self._by_host.setdefault((key.host, key.port), {})[key.type] = key
        self._digest = ""


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
