"""Secrets that a description does not hold itself: it says where they are.

``{from_env: VARIABLE}`` or ``{from_file: PATH}`` in place of a reference makes a password, private key or certificate;
``{generate: ed25519}`` makes a private key on the server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STORES = {
    "/api/configuration/passwords": "plain",
    "/api/configuration/private_keys": "private_key",
    "/api/configuration/x509": "certificate",
}
"""Where secrets are made, and the member that takes the text."""
_SOURCES = {"from_env", "from_file", "generate"}
_KEYS, _CERTIFICATES = "/api/configuration/private_keys", "/api/configuration/x509"


@dataclass(frozen=True, slots=True)
class Outside:
    """The body of a request that makes a secret, before the secret is read."""

    store: str
    described: Mapping[str, Any]


class NotThere(Exception):
    """A secret can't be read; says why."""


def meant(value: Mapping[str, Any]) -> bool:
    """Whether a mapping says where a secret comes from."""
    return not _SOURCES.isdisjoint(value)


def problem(store: str, described: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the description of a secret."""
    allowed = {"from_env", "from_file", "change"}
    allowed |= {"generate"} if store == _KEYS else {"private_key_file"} if store == _CERTIFICATES else set()
    if store not in _STORES:
        return "Only passwords, private keys and certificates come from outside; give a name or a key."
    if unknown := described.keys() - allowed:
        return f"{', '.join(sorted(unknown))} is not known here."
    if len(_SOURCES & described.keys()) != 1:
        return "Exactly one source must be given."
    if not all(isinstance(member, str) and member for member in described.values()):
        return "Must be texts."
    if described.get("change", "always") not in {"always", "never"}:
        return "change must be always or never."
    return None


def body(secret: Outside, folder: Path) -> dict[str, Any]:
    """Return what is posted; files are looked for in ``folder``. Raises NotThere."""
    described = secret.described
    if "generate" in described:
        return {"generate": {"selection": described["generate"]}}
    text = _environment(described["from_env"]) if "from_env" in described else _file(folder / described["from_file"])
    if secret.store == "/api/configuration/passwords":
        text = text.removesuffix("\n").removesuffix("\r")
    found = {_STORES[secret.store]: text}
    if "private_key_file" in described:
        found["private_key"] = _file(folder / described["private_key_file"])
    return found


def _environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise NotThere(f"The environment has no {name}.") from None


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotThere(f"{path} is not UTF-8.") from None
    except OSError as error:
        raise NotThere(f"{path} can't be read: {error.strerror}.") from None
