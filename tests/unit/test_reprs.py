"""What is secret is in no representation of an object: logs, errors and debuggers show those."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

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
    "doorward.cluster.revisions.RevisionContent.secrets",  # digests
    "doorward.host.resources.ServerCertificate.private_key",  # the same
    "doorward.host.resources.ShownHostKey.secret",  # the same
    "doorward.membership.cluster_role.ClusterRole.psk",  # the same
})  # fmt: skip
PROGRAMS = frozenset({"doorward.__main__", "doorward.sessions.catalogue.postgresql.migrations.env"})
"""Modules that act when they are imported."""


class Member(NamedTuple):
    name: str
    type: str
    is_shown: bool


def members() -> Iterator[tuple[str, Member]]:
    """What values are made of; a struct shows all of it."""
    for module in pkgutil.walk_packages(doorward.__path__, "doorward."):
        if module.name in PROGRAMS:
            continue
        for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if found.__module__ != module.name:
                continue
            where = f"{module.name}.{name}"
            if dataclasses.is_dataclass(found):
                for field in dataclasses.fields(found):
                    yield f"{where}.{field.name}", Member(field.name, str(field.type), field.repr)
            elif issubclass(found, msgspec.Struct):
                annotations = {
                    key: text for base in reversed(found.__mro__) for key, text in vars(base).get("__annotations__", {}).items()
                }
                is_shown = found.__repr__ is msgspec.Struct.__repr__
                for member in found.__struct_fields__:
                    yield f"{where}.{member}", Member(member, str(annotations[member]), is_shown)


def is_text(member: Member) -> bool:
    """Whether a member holds something itself: a function that looks a secret up shows nothing."""
    return member.type not in {"bool", "int", "int | None", "Secret"} and not member.type.startswith("Callable[")


def test_no_representation_has_secrets() -> None:
    found = dict(members())
    shown = {name for name, member in found.items() if member.name in SECRET and is_text(member) and member.is_shown}
    assert shown == NOT_SECRET
    assert [name for name in sorted(WITH_SECRETS) if found[name].is_shown] == []
