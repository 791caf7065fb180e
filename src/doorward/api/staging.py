"""Changes of one request, put into a candidate of their own: each passes the checks that a single request would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from doorward.access.logins import LoginSession
from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.batch_order import AnyChange, Post
from doorward.api.configuration import Configuration, check_match, may_write
from doorward.api.request import path_segments
from doorward.transaction.batch import BatchChange, ahead, mentions, write
from doorward.transaction.candidate import Candidate
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError, as_json
from doorward.tree.references import NEW, new_keys, resolved
from doorward.tree.registry import Endpoint


class RefusedChangesError(Exception):
    """Changes that can't be put into a candidate. ``answer`` says which and why."""

    def __init__(self, answer: errors.ApiError) -> None:
        self.answer = answer
        super().__init__(str(answer))


@dataclass
class Staging:
    """Puts the changes of one request into a candidate. ``sent`` are they as they came, ``changes`` what they bring."""

    shared: Configuration
    login: LoginSession
    sent: Sequence[AnyChange]
    changes: list[BatchChange]
    keys: dict[str, str] = field(default_factory=dict)
    """Of the objects made so far, by the id of the change that made one."""
    results: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    staged: Candidate | None = None
    _endpoints: dict[tuple[str, str], Endpoint] = field(default_factory=dict)
    """By method and path: endpoints that passed all checks. Thousands of changes may make objects at one of them."""

    def look_ahead(self) -> None:
        """Do what takes its time before the turn comes, as far as the caller may. Blocks."""
        snapshot = self.shared.running().snapshot
        for index, change in enumerate(self.changes):
            try:
                endpoint, _ = self._addressed(index, Candidate(self.shared.running(), snapshot))
            except (errors.ApiError, SemanticError):
                continue
            self.changes[index] = ahead(endpoint, change)

    @property
    def takes_time(self) -> bool:
        """Whether there is something to do before the turn comes."""
        return not self.shared.tree.making.isdisjoint(change.path for change in self.sent)

    def candidate(self) -> Candidate:
        """Return what runs with all of the changes. Raises RefusedChangesError with every problem."""
        candidate = Candidate.on(self.shared.running())
        self._endpoints.clear()  # what was found ahead was found by the rights of that moment
        wrong: list[tuple[int, InvalidBody | SemanticError]] = []
        failed: list[str] = []
        with new_keys(self.keys):
            for index, sent in enumerate(self.sent):
                if any(mentions(getattr(sent, "body", None), name) or f"{NEW}{name}" in sent.path.split("/") for name in failed):
                    continue  # nobody can tell before the object is there
                try:
                    self._put(candidate, index)
                except errors.ApiError as refusal:
                    if wrong:
                        break
                    refusal.details = {**refusal.details, "change": index}
                    raise RefusedChangesError(refusal) from None
                except (InvalidBody, SemanticError) as refused:
                    wrong.append((index, refused))
                    failed += [sent.id] if isinstance(sent, Post) and sent.id else []
        if wrong:
            raise RefusedChangesError(_refused(wrong))
        self.staged = candidate
        return candidate

    def sight(self) -> Sight:
        """Return what the caller may read of what was staged."""
        base = self.shared.running().snapshot
        now, before = (self.staged.snapshot, self.staged.base.snapshot) if self.staged else (base, base)
        return Sight(self.shared.tree, self.login.rights, now, before)

    def _put(self, candidate: Candidate, index: int) -> None:
        sent, change = self.sent[index], self.changes[index]
        endpoint, key = self._addressed(index, candidate)
        check_match(sent.if_match, candidate.snapshot, endpoint, key)
        place = Place(endpoint.path, key)
        # No change here can make the node another one in its cluster.
        self.shared.check_scope(candidate.base.snapshot, place)
        name = sent.id if isinstance(sent, Post) else None
        if name is not None and not endpoint.holds_objects:
            raise SemanticError([Problem("contradiction", "Only an object gets a key; leave out the id.", "", place.href)])
        before = candidate.snapshot.document(place)
        made, warnings = write(self.shared.tree, candidate, endpoint, key, change)
        if sent.method != "DELETE":
            self.shared.probe(place, before, candidate)
        if name is not None:
            self.keys[name] = made
        href = Place(endpoint.path, made).href
        self.results.append({"href": href, "key": made or endpoint.key, "status": 201 if sent.method == "POST" else 200})
        if warnings:
            self.warnings += [{**warning, "change": index} for warning in as_json(warnings, href)]

    def _addressed(self, index: int, candidate: Candidate) -> tuple[Endpoint, str]:
        """Return where a change goes, after the checks of a request up to the right."""
        sent = self.sent[index]
        if (known := self._endpoints.get((sent.method, sent.path))) is not None:
            return known, ""
        segments = path_segments(sent.path.encode())
        if segments is None:
            raise errors.bad_request("The path can't be decoded.")
        path = "/" + "/".join(segments)
        if (other := self.shared.tree.aliases.get(path)) is not None:
            endpoint, key = other, ""
        elif segments[:2] != ("api", "configuration"):
            raise SemanticError([Problem("not_supported", f"Only what is below {ROOT} can be changed here.", "", path)])
        else:
            found = self.shared.tree.find(segments[2:])
            if isinstance(found, int):
                raise errors.not_found(path, segments[2 + found])
            endpoint, key = found[0], resolved(found[1])
            if key and candidate.snapshot.document(Place(endpoint.path, key)) is None:
                raise errors.not_found(path, found[1])
        href = Place(endpoint.path, key).href
        if sent.method not in (endpoint.object_methods if key else endpoint.methods):
            raise errors.method_not_allowed(sent.method, href)
        if not may_write(self.login.rights, endpoint, key):
            raise errors.unauthorized(href, write=True)
        if not key:
            self._endpoints[sent.method, sent.path] = endpoint
        return endpoint, key

    def change_at(self, path: str) -> int | None:
        """Return the last change of what is at a path, or of something below it."""
        hrefs = [result["href"] for result in self.results]
        exact = [index for index, href in enumerate(hrefs) if href == path]
        return next(reversed(exact or [index for index, href in enumerate(hrefs) if href.startswith(f"{path}/")]), None)


def _refused(wrong: Sequence[tuple[int, InvalidBody | SemanticError]]) -> errors.ApiError:
    """Return the answer to bad changes; what is wrong with bodies alone comes first."""
    bodies = [(index, found) for index, found in wrong if isinstance(found, InvalidBody)]
    told = [(index, problem) for index, found in bodies or wrong for problem in found.problems]
    problems = [problem for _, problem in told]
    refusal = errors.invalid_body(problems) if bodies else errors.meaning(problems, "commit")
    for entry, (index, _) in zip(refusal.details["errors"], told, strict=True):
        entry["change"] = index
    refusal.details["change"] = told[0][0]
    return refusal
