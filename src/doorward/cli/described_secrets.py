"""Secrets that a description brings from outside: which stay as they are, and which have to be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from doorward.cli import outside
from doorward.cli.described import DescribedRequest, New
from doorward.cli.outside import Outside
from doorward.cli.referring import At
from doorward.tree.changes import MISSING
from doorward.tree.problems import Problem, pointer
from doorward.tree.references import RefersTo


class PublicBodies(Protocol):
    """Who knows what is public of secrets."""

    def value(self, path: str) -> Any:
        """Return the body at a path."""


class DescribedSecrets:
    """Finds them. ``wrong`` takes problems; ``made_first`` are the requests that make those that are not there."""

    def __init__(self, present: PublicBodies, problems: list[Problem]) -> None:
        self._present, self._problems = present, problems
        self.made_first: list[DescribedRequest] = []

    def place(self, to: RefersTo, described: Mapping[str, Any], bodies: tuple[Any, Any], at: At, label: str) -> Any:
        """Return the key of the secret that stays at a place, else what stands for the one that is made.

        ``bodies``: as it is and as it shall be.
        """
        where = pointer(at)
        if (wrong := outside.problem(to.to, described)) is not None:
            self._problems.append(Problem("type", wrong, where, label))
            return None
        if (key := self._kept(to, described, bodies, at)) is not None:
            return key
        new = New(to.to, f"{label}#{where}")
        self.made_first.append(DescribedRequest("POST", to.to, Outside(to.to, described), new, f"{label} {where}"))
        return new

    def _kept(self, to: RefersTo, described: Mapping[str, Any], bodies: tuple[Any, Any], at: At) -> str | None:
        """Return the key of the secret that stands at a place and may stay there; None where one has to be made.

        In a list a secret stays with its element while everything else in that is as it was: it may be meant for one server only.
        """
        old, new = bodies
        if described.get("change") == "always":
            return None
        if "certificate" in described:  # public, so it can be compared
            keys = [key for key in _keys_of(old, at) if self._is_certificate(to.to, key, described)]
            return keys[0] if keys else None
        found = _at(old, at)
        last = max((index for index, part in enumerate(at) if isinstance(part, int)), default=-1)
        if last >= 0 and not _alike(_at(old, at[: last + 1]), _at(new, at[: last + 1])):
            return None
        return found if isinstance(found, str) else None

    def _is_certificate(self, store: str, key: str, described: Mapping[str, Any]) -> bool:
        found = self._present.value(f"{store}/{key}")
        same_text = str(found["certificate"]).split() == str(described["certificate"]).split()
        return same_text and found["has_private_key"] == (not outside.KEY_SOURCES.isdisjoint(described))


def _at(body: Any, at: At) -> Any:
    for part in at:
        if isinstance(body, list) and isinstance(part, int):
            body = body[part] if part < len(body) else MISSING
        else:
            body = body.get(part, MISSING) if isinstance(body, dict) else MISSING
    return body


def _alike(old: Any, new: Any) -> bool:
    """Whether a described value names nothing else than what is there, descriptions of secrets apart."""
    if isinstance(new, dict):
        return outside.meant(new) or (
            isinstance(old, dict) and all(name in old and _alike(old[name], member) for name, member in new.items())
        )
    return bool(old == new)


def _keys_of(body: Any, at: At) -> list[str]:
    """Return the keys that stand at a place, of lists in any element."""
    found = [body]
    for part in at:
        if isinstance(part, int):
            found = [element for value in found if isinstance(value, list) for element in value]
        else:
            found = [value[part] for value in found if isinstance(value, dict) and part in value]
    return [key for key in found if isinstance(key, str)]
