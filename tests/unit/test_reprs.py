"""What is secret is in no representation of an object: logs, errors and debuggers show those."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import doorward

SECRET = frozenset({
    "admin_password", "cookie", "keystrokes", "kept", "password", "pem", "private_key", "psk", "screen", "secret", "secrets",
    "token",
})  # fmt: skip
"""Names of members that hold passwords, keys, and what lets somebody in."""
WITH_SECRETS = frozenset({
    "doorward.access.logins.LoginSession.candidate",
    "doorward.api.request.Request.scope",
    "doorward.api.request.Response.content",
    "doorward.backup.restore.opening.Opened.file",
    "doorward.backup.restore.opening.Opened.files",
    "doorward.host.files.FileEntry.content",
    "doorward.host.resources.File.content",
})  # fmt: skip
"""Other members with such in them."""
NOT_SECRET = frozenset({
    "doorward.access.tokens.Grant.token",  # what is kept of a token; it shows its id alone
    "doorward.cluster.peers.Pinned.psk",  # the key under which the secret is kept
    "doorward.host.resources.ServerCertificate.private_key",  # the same
    "doorward.host.resources.ShownHostKey.secret",  # the same
    "doorward.membership.cluster_role.ClusterRole.psk",  # the same
})  # fmt: skip
PROGRAMS = frozenset({"doorward.__main__"})
"""Modules that act when they are imported."""


def members() -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    for module in pkgutil.walk_packages(doorward.__path__, "doorward."):
        if module.name in PROGRAMS:
            continue
        for name, found in inspect.getmembers(importlib.import_module(module.name), dataclasses.is_dataclass):
            if found.__module__ == module.name:
                for field in dataclasses.fields(found):
                    yield f"{module.name}.{name}.{field.name}", field


def is_text(field: dataclasses.Field[Any]) -> bool:
    """Whether a member holds something itself: a function that looks a secret up shows nothing."""
    return field.type not in {"bool", "int", "int | None", "Secret"} and not str(field.type).startswith("Callable[")


def test_no_representation_has_secrets() -> None:
    found = dict(members())
    shown = {name for name, field in found.items() if field.name in SECRET and is_text(field) and field.repr}
    assert shown == NOT_SECRET
    assert [name for name in sorted(WITH_SECRETS) if found[name].repr] == []
