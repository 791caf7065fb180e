"""Passwords, private keys and certificates in place of references to them.

``{from_env: VARIABLE}``, ``{from_file: PATH}`` or ``{plain: TEXT}`` makes one, ``{generate: ed25519}`` makes a private key on the
server, ``{certificate: PEM}`` a certificate, ``private_key_file`` or ``private_key_env`` beside it gives it its private key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

_STORES = {
    "/api/configuration/passwords": "plain",
    "/api/configuration/private_keys": "private_key",
    "/api/configuration/x509": "certificate",
}
"""Where secrets are made, and the member that takes the text."""
_SOURCES = {"from_env", "from_file", "generate", "plain", "certificate"}
KEY_SOURCES = {"private_key_file", "private_key_env"}
_KEYS, _CERTIFICATES = "/api/configuration/private_keys", "/api/configuration/x509"


class Outside(Struct, frozen=True):
    """The body of a request that makes a secret, before the secret is read."""

    store: str
    described: Mapping[str, Any]


class NotFoundError(Exception):
    """A secret can't be read; says why."""


def meant(value: Mapping[str, Any]) -> bool:
    """Whether a mapping says where a secret comes from."""
    return not _SOURCES.isdisjoint(value)


def problem(store: str, described: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the description of a secret."""
    allowed = {"from_env", "from_file", "plain", "change"}
    allowed |= {"generate"} if store == _KEYS else {"certificate", *KEY_SOURCES} if store == _CERTIFICATES else set()
    if store not in _STORES:
        return "Only passwords, private keys and certificates come from outside; give a name or a key."
    if unknown := described.keys() - allowed:
        return f"{', '.join(sorted(unknown))} is not known here."
    if len(_SOURCES & described.keys()) != 1 or len(KEY_SOURCES & described.keys()) > 1:
        return "Exactly one source must be given."
    if not all(isinstance(member, str) and member for member in described.values()):
        return "Must be texts."
    if described.get("change", "always") not in {"always", "never"}:
        return "change must be always or never."
    return None


def body(secret: Outside) -> dict[str, Any]:
    """Return what is posted. Raises NotFoundError."""
    described = secret.described
    if "generate" in described:
        return {"generate": {"selection": described["generate"]}}
    text = _text(described)
    if secret.store == "/api/configuration/passwords" and "plain" not in described:
        text = text.removesuffix("\n").removesuffix("\r")
    found = {_STORES[secret.store]: text}
    if "private_key_file" in described:
        found["private_key"] = _file(Path(described["private_key_file"]))
    elif "private_key_env" in described:
        found["private_key"] = _environment(described["private_key_env"])
    return found


def beside(value: Any, folder: Path) -> Any:
    """Return a description whose relative names of files are relative to a folder."""
    if isinstance(value, list):
        return [beside(element, folder) for element in value]
    if not isinstance(value, dict):
        return value
    if meant(value):
        names = {"from_file", "private_key_file"}
        return {k: str(folder / v) if k in names and isinstance(v, str) and v else v for k, v in value.items()}
    return {name: beside(member, folder) for name, member in value.items()}


def in_clear(value: Any) -> bool:
    """Whether a value holds a secret itself."""
    if isinstance(value, list):
        return any(in_clear(element) for element in value)
    return isinstance(value, dict) and ((meant(value) and "plain" in value) or any(in_clear(member) for member in value.values()))


def _text(described: Mapping[str, Any]) -> str:
    if "from_env" in described:
        return _environment(described["from_env"])
    if "from_file" in described:
        return _file(Path(described["from_file"]))
    return str(described.get("plain", described.get("certificate", "")))


def _environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise NotFoundError(f"The environment has no {name}.") from None


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotFoundError(f"{path} is not UTF-8.") from None
    except OSError as error:
        raise NotFoundError(f"{path} can't be read: {error.strerror}.") from None
