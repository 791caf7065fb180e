"""What a reader may see of what several rights meet in: changes, plans, warnings and records that name many places.

A value is shown to whoever may read its place at the moment of the answer. The rest is counted, not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from doorward.access.rights import Rights
from doorward.store.port import Edit
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import Branch, Valued, WriteOnce
from doorward.tree.places import ROOT, Place
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot

UNSEEN = "Not shown: it is about a resource that this account may not read."

CHANGELOG = "/special/changelog"
"""The object of the history: who committed what."""

_GUARDED = {"/api/backup": "/special/backup", "/api/cluster": "/special/cluster"}
"""The objects of what lies outside the configuration, by subtree."""
_Row = TypeVar("_Row", bound=Mapping[str, Any])


class Sight:
    """What an account with these rights may see.

    A secret is seen by who may read one of its owners, in one of the configurations or in the bodies of ``edits``. ``unowned``:
    whether one without owner is seen by who may write something, as its maker may; else it is by who may do everything.
    """

    def __init__(
        self, tree: Tree, rights: Rights, *snapshots: Snapshot, edits: Iterable[Edit] = (), unowned: bool = False
    ) -> None:  # fmt: skip
        self._tree, self._rights, self._snapshots = tree, rights, snapshots
        self._unowned = rights.everything or (unowned and rights.may_write_something)
        self._owners = {} if rights.everything else _owners(tree, edits)

    def place(self, place: Place) -> bool:
        """Whether the reader may see what stands, or stood, at a place."""
        endpoint = self._tree.endpoints.get(place.path)
        if self._rights.everything or endpoint is None or isinstance(endpoint.node, Branch):
            return self._rights.everything
        if isinstance(endpoint.node, WriteOnce):
            found = {owner for snapshot in self._snapshots for owner in snapshot.who_refers_to(place.href)}
            found |= self._owners.get(place.href, set())
            seen = any(self.place(owner) for owner in found) if found else self._unowned
            return seen and self._rights.reaches(place.href)
        return self._rights.may_read(endpoint.privilege, place.href)

    def path(self, path: str) -> bool:
        """Whether the reader may see what is said of a path; a place inside its body stands behind a ``#``."""
        href = path.partition("#")[0]
        above, _, key = href.rpartition("/")
        if href in self._tree.endpoints:
            return self.place(Place(href))
        if above in self._tree.endpoints:
            return self.place(Place(above, key))
        if href.startswith(f"{ROOT}/"):
            return self._rights.everything
        guard = next((guard for top, guard in _GUARDED.items() if href == top or href.startswith(f"{top}/")), None)
        return guard is None or self._rights.may_read(guard, href)

    def seen(self, rows: Sequence[_Row]) -> list[_Row]:
        """Return the rows whose ``path`` may be seen."""
        return [row for row in rows if self.path(row["path"])]

    def members(self, body: Mapping[str, Any], *names: str) -> dict[str, Any]:
        """Return a body with those rows of its lists that may be seen; ``hidden`` counts the others, if there are any."""
        shown = {name: self.seen(body[name]) for name in names}
        hidden = {name: len(body[name]) - len(shown[name]) for name in names if len(body[name]) > len(shown[name])}
        return {**body, **shown, **({"hidden": hidden} if hidden else {})}

    def error(self, error: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the error of a commit record, without its words where they are about something that may not be seen."""
        if error is None:
            return None
        shown = {name: value for name, value in error.items() if name != "paths"}
        paths = error.get("paths", [error["path"]] if "path" in error else [ROOT])
        if error.get("type") == "Conflict" or all(self.path(path) for path in paths):  # a conflict is told by paths alone
            return shown
        return shown | {name: UNSEEN for name in ("action", "reason") if name in shown}


def _owners(tree: Tree, edits: Iterable[Edit]) -> dict[str, set[Place]]:
    """Return the places whose bodies refer to something, before or after some edits, by what they refer to."""
    found: dict[str, set[Place]] = {}
    for edit in edits:
        endpoint = tree.endpoints.get(edit.place.path)
        if endpoint is None or not isinstance(endpoint.node, Valued):
            continue
        for body in (edit.old, edit.new):
            try:
                references = tree.load(edit.place, decode_own(body)).references if body is not None else ()
            except ValueError:  # of a release whose bodies this one does not take
                continue
            for reference in references:
                found.setdefault(reference.href, set()).add(edit.place)
    return found
