"""From an archive to a configuration of this release, for a restore and for its rehearsal; and its history (sections 8 and 9)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from msgspec.structs import replace
from pydantic import ValidationError

from doorward import __version__
from doorward.backup.content import HISTORY, REVISION, SECRETS, TREE, revision_of
from doorward.backup.restore.opening import ArchiveRefusedError, Opened
from doorward.host.errors import HostError
from doorward.host.machine import Machine
from doorward.host.resources import Daemon, File, Symlink, Zone, index
from doorward.host.sandbox import sandbox
from doorward.store import history
from doorward.store.port import Edit, Past, Revision, StoreDamagedError
from doorward.transaction.edits import DocumentEdit
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.rules import check_rules
from doorward.transaction.startup import documents
from doorward.tree.changes import ORDER
from doorward.tree.jsontext import decode
from doorward.tree.nodes import Valued, WriteOnce, arranges
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import InvalidBody, Problem
from doorward.tree.references import Form
from doorward.tree.registry import Endpoint, Tree
from doorward.tree.snapshot import Document, Entry, Snapshot
from doorward.tree.validation import check

_REHEARSED = (File, Symlink, Zone, Daemon)
"""What an empty host can be asked about without starting anything."""
MAX_HISTORY_BYTES = 256 << 20
"""Bytes of a history that is taken over; what it leads to is held in memory."""
_MAX_PROBLEMS = 1_000
"""Problems, and warnings, that are kept of an archive: it may have one for every value."""


class NotLoadableError(Exception):
    """What stands in an archive can't be a configuration of this release. Carries every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = f" ({len(self.problems) - 1} more)" if self.problems[1:] else ""
        super().__init__(f"{first.path}{first.pointer}: {first.message}{more}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration of an archive. ``secrets`` maps a key to the form and the text of what is kept under it."""

    snapshot: Snapshot
    secrets: Mapping[str, tuple[Form, str]] = field(repr=False)
    warnings: tuple[Problem, ...] = ()


def check_version(opened: Opened) -> None:
    """Raise ArchiveRefusedError for archives of another major release, or of a newer minor one."""
    made_by = opened.manifest["product"]["version"]
    theirs, ours = _version(made_by), _version(__version__)
    if theirs is None or ours is None or theirs[0] != ours[0]:
        raise ArchiveRefusedError("other_major", f"It was made by release {made_by}; this is {__version__}.")
    if theirs > ours:
        raise ArchiveRefusedError("newer_version", f"It was made by the newer release {made_by}; this is {__version__}.")


def _version(text: str) -> tuple[int, int] | None:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def load(opened: Opened, tree: Tree, machine: Machine) -> Loaded:
    """Read the configuration of an archive with its secrets. Raises NotLoadableError, or ArchiveRefusedError ``damaged``."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    rows: list[tuple[Place, int, Document]] = []
    opened.json(REVISION)
    for path, value in _object(opened.json(TREE), TREE).items():
        if (ordered := _ordered(tree, path)) is not None:
            rows.append((ordered, 0, _order(tree, ordered, value)))
            continue
        endpoint = tree.endpoints.get(path)
        if endpoint is None or not path.startswith(ROOT):
            if len(warnings) < _MAX_PROBLEMS:
                warnings.append(Problem("unknown_member", "This release has no such endpoint; it was left out.", "", path))
            continue
        for position, (place, body) in enumerate(_bodies(endpoint, value)):
            try:
                rows.append((place, position if place.key else 0, _document(endpoint, body)))
            except InvalidBody as refused:
                room = _MAX_PROBLEMS - len(problems)
                problems.extend(replace(problem, path=place.href) for problem in refused.problems[:room])
    if problems:
        raise NotLoadableError(problems)
    snapshot = Snapshot.of(rows)
    for place, position, document in documents(tree.defaults(machine, beside=snapshot)):
        snapshot = snapshot.put(place, document, position if place.key else None)
    return Loaded(snapshot, _secrets(opened, snapshot), tuple(warnings))


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ArchiveRefusedError("damaged", f"{path} does not hold what it should.")
    return value


def _ordered(tree: Tree, path: str) -> Place | None:
    """Return the place of the order of a collection that stands under a path of the archive."""
    collection, _, last = path.rpartition("/")
    endpoint = tree.endpoints.get(collection)
    return Place(collection) if last == ORDER and endpoint is not None and arranges(endpoint.node, Place(collection)) else None


def _order(tree: Tree, place: Place, value: Any) -> Document:
    try:
        return tree.load(place, value)
    except ValueError:
        raise ArchiveRefusedError("damaged", f"{TREE} does not hold the order of {place.path}.") from None


def _bodies(endpoint: Endpoint, value: Any) -> Iterator[tuple[Place, Any]]:
    if not endpoint.holds_objects:
        yield Place(endpoint.path), value
        return
    objects = _object(value, TREE)
    order = objects.get(ORDER)
    named = isinstance(order, list) and all(isinstance(key, str) for key in order)
    if order is None or not named or sorted(order) != sorted(objects.keys() - {ORDER}):
        raise ArchiveRefusedError("damaged", f"{TREE} does not list the objects of {endpoint.path}.")
    for key in order:
        yield Place(endpoint.path, key), objects[key]


def _document(endpoint: Endpoint, body: Any) -> Document:
    node = endpoint.node
    if isinstance(node, WriteOnce):
        return node.load(body)
    if not isinstance(node, Valued):
        raise InvalidBody([Problem("type", "Nothing can stand here.")])
    try:
        return node.load(body)
    except ValidationError:
        check(node.adapter, body)  # says what is wrong
        raise InvalidBody([Problem("unsuitable", "This release does not take what stands here.")]) from None


def _secrets(opened: Opened, snapshot: Snapshot) -> dict[str, tuple[Form, str]]:
    """Return the secrets of the archive; everything that something refers to and that has a secret has it here."""
    found: dict[str, tuple[Form, str]] = {}
    for name, path in SECRETS.items():
        store = f"{ROOT}/{name}"
        kept = _object(opened.json(path), path)
        for key, document in snapshot.objects(store).items():
            secret = kept.get(key)
            if secret is None and document.value.get("has_private_key") is not False:
                raise NotLoadableError([Problem("unsuitable", "Its secret is not in the archive.", "", f"{store}/{key}")])
            if secret is not None:
                form, text = _object(secret, path).get("form"), secret.get("text")
                if form not in get_args(Form) or not isinstance(text, str):
                    raise ArchiveRefusedError("damaged", f"{path} does not hold what it should.")
                found[key] = (cast("Form", form), text)
    return found


def rehearse(loaded: Loaded, pipeline: Pipeline) -> None:
    """Check every rule over a loaded configuration, and plan it on an empty host. Raises NotLoadableError.

    What only time has changed since it was committed does not count: the archive restores all the same.
    """
    snapshot = loaded.snapshot
    edits = [DocumentEdit.between(place, None, Entry(position, document)) for place, position, document in documents(snapshot)]
    findings = check_rules(pipeline.tree, snapshot, edits).from_archive()
    if findings.problems:
        raise NotLoadableError(findings.problems)
    resources = pipeline.desired(snapshot)
    try:
        index(resources)
        with tempfile.TemporaryDirectory(prefix="doorward-rehearsal-") as empty:
            sandbox(Path(empty)).plan([], [resource for resource in resources if isinstance(resource, _REHEARSED)])
    except (ValueError, HostError) as error:
        raise NotLoadableError([Problem("host", f"{error}.", "", ROOT)]) from error


def past_of(opened: Opened) -> Past | None:
    """Return the history of an archive; None where it is not whole, or does not end with the revision that was archived.

    Nor where it is so long that following it would take too much memory and time.
    """

    def revisions() -> Iterator[tuple[Revision, list[Edit]]]:
        size = 0
        for line in opened.lines(HISTORY):
            size += len(line)
            if size > MAX_HISTORY_BYTES:
                raise StoreDamagedError("The history is too long.")
            yield revision_of(decode(line))

    try:
        found = history.past(revisions)
    except (ArchiveRefusedError, InvalidBody, StoreDamagedError, KeyError, TypeError, ValueError, AttributeError):
        return None
    archived = opened.manifest["revision"]
    return found if (found.head.number, found.head.hash) == (archived["number"], archived["hash"]) else None
