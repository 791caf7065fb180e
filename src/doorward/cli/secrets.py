"""Secrets in the descriptions that ``doorward get`` prints: not their keys, which mean nothing elsewhere.

A certificate without private key is printed whole. In place of everything else stands a variable of the environment:
``doorward apply`` keeps the secret that is there, and reads the variable where there is none.
"""

from __future__ import annotations

import re
from typing import Any

from doorward.cli.failures import short
from doorward.cli.naming import bare
from doorward.cli.referring import At, mapped
from doorward.cli.remote import Remote
from doorward.client.errors import ApiRefusedError
from doorward.tree.nodes import Valued
from doorward.tree.problems import pointer
from doorward.tree.references import RefersTo

STORES = {"/api/configuration/passwords", "/api/configuration/private_keys", "/api/configuration/x509"}
_CERTIFICATES = "/api/configuration/x509"


def described_secrets(node: Valued[Any], body: Any, remote: Remote, label: str) -> Any:
    """Return a body with descriptions in place of references to secrets; ``label`` is its path with names."""

    def change(to: RefersTo, value: Any, at: At) -> Any:
        key = bare(value)
        if to.to not in STORES or not isinstance(key, str):
            return value
        name = _variable(label, at)
        return _certificate(remote, key, name) if to.to == _CERTIFICATES else {"from_env": name}

    return mapped(node.model, body, change)


def _certificate(remote: Remote, key: str, name: str) -> dict[str, str]:
    try:
        found = remote.value(f"{_CERTIFICATES}/{key}")
    except ApiRefusedError:  # the account may not read it
        return {"from_env": name}
    if found["has_private_key"]:
        return {"from_env": name, "private_key_env": f"{name}_KEY"}
    return {"certificate": found["certificate"]}


def _variable(label: str, at: At) -> str:
    """Return the name of a variable for a place: AAA_LOCAL_DATABASE_USERS_JANE_PASSWORD."""
    return re.sub(r"[^A-Z0-9]+", "_", f"{short(label)}{pointer(at)}".upper()).strip("_")
