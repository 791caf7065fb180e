"""``/api/configuration``: every node, read from the caller's candidate or from what runs, written into the candidate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from doorward.access.logins import Logins
from doorward.access.rights import Rights
from doorward.access.sight import CHANGELOG
from doorward.api import errors, past
from doorward.api.candidates import written_in_turn
from doorward.api.encoding import TRANSACTION, encoded, with_warnings
from doorward.api.openapi_nodes import about_node, node_hints, node_operations
from doorward.api.request import Request, Response, is_named
from doorward.api.resources import Operation, Resource
from doorward.areas.threads import HEAVY
from doorward.host.ntp_probe import Prober
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.scope import from_central_management
from doorward.tree.nodes import Branch, Valued, Warnings, WriteOnce
from doorward.tree.places import Place
from doorward.tree.problems import Problem, SemanticError, as_json
from doorward.tree.registry import Endpoint
from doorward.tree.snapshot import Document, Snapshot

_LARGE = 1 << 16
"""Bytes of a body beyond which it is decoded, checked and written in a thread."""


class Configuration:
    """What the resources of the tree share. ``away`` tells since when Central Management has not answered, if it is away."""

    def __init__(self, pipeline: Pipeline, logins: Logins, prober: Prober, away: Callable[[], str | None]) -> None:
        self.pipeline, self.tree = pipeline, pipeline.tree
        self.logins, self.prober, self._away = logins, prober, away

    def running(self) -> Running:
        """Return what runs."""
        return self.pipeline.running

    def check_scope(self, snapshot: Snapshot, place: Place) -> None:
        """Raise SemanticError where Central Management sets what stands at the place."""
        problems = from_central_management(self.tree, snapshot, [place])
        if problems and (since := self._away()) is not None:
            problems = [replace(p, message=f"{p.message} It has not answered since {since}.") for p in problems]
        if problems:
            raise SemanticError(problems)

    def told(self, place: Place) -> list[Problem]:
        """Return the warning of every write while Central Management is away."""
        since = self._away()
        message = f"Central Management has not answered since {since}."
        return [Problem("central_unreachable", message, "", place.href)] if since is not None else []

    def probe(self, place: Place, before: Document | None, candidate: Candidate) -> None:
        """Ask new time servers for the time in the background; the commit tells what is known by then."""
        node = self.tree[place.path].node
        if isinstance(node, Valued) and node.probe and (document := candidate.snapshot.document(place)) is not None:
            for _, host in node.probe(before and before.read(node), document.read(node)):
                self.prober.begin(host)

    def snapshot(self, request: Request) -> Snapshot:
        """Return the configuration that the caller sees."""
        login = request.login
        return login.candidate.snapshot if login is not None and login.candidate else self.running().snapshot

    def resource(self) -> NodeResource:
        """Return the resource of ``/api/configuration``."""
        return NodeResource(self, self.tree.root)


class NodeResource(Resource):
    """One endpoint, or with ``key`` one object of its."""

    def __init__(self, shared: Configuration, endpoint: Endpoint, key: str = "") -> None:
        self._shared, self.endpoint, self.key = shared, endpoint, key
        self._children: dict[str, NodeResource] = {}
        for name, child in endpoint.children.items():
            self._children[name] = NodeResource(shared, child)
        self.children = {} if key else self._children
        self.privilege = endpoint.privilege

    @property
    def operations(self) -> Mapping[str, Operation]:  # type: ignore[override]
        """What the OpenAPI document says of the resource."""
        return node_operations(self.endpoint, is_object=bool(self.key))

    @property
    def about(self) -> str:
        """What the manual says of the endpoint."""
        return about_node(self.endpoint)

    @property
    def hints(self) -> Mapping[str, Any]:  # type: ignore[override]
        """What a page of the endpoint needs to know; objects are as their endpoint says."""
        return {} if self.key else node_hints(self.endpoint)

    @property
    def place(self) -> Place:
        """Where the resource stands."""
        return Place(self.endpoint.path, self.key)

    def allow(self) -> tuple[str, ...]:
        """Return the methods of the resource, sorted."""
        return self.endpoint.object_methods if self.key else self.endpoint.methods

    def child(self, segment: str, request: Request) -> Resource | None:
        """Return a child, or an object that exists for the caller."""
        if self.endpoint.holds_objects and not self.key:
            place = Place(self.endpoint.path, segment)
            exists = past.is_asked(request) or self._shared.snapshot(request).document(place) is not None
            return NodeResource(self._shared, self.endpoint, segment) if exists else None
        return self._children.get(segment)

    def template(self) -> tuple[str, Resource] | None:
        """Return what an object of the endpoint is like."""
        return (
            ("key", NodeResource(self._shared, self.endpoint, "{key}")) if self.endpoint.holds_objects and not self.key else None
        )

    def may_read(self, request: Request) -> bool:
        """Branches are open to every login; a secret is read by who may read its owner."""
        rights, node = request.member.rights, self.endpoint.node
        if past.is_asked(request) and not rights.may_read(CHANGELOG, past.REVISIONS):
            return False
        if isinstance(node, Branch):
            return True
        if isinstance(node, WriteOnce):
            if past.is_asked(request):  # who its owners were is known when it is read
                return True
            owners = self._shared.snapshot(request).who_refers_to(self.place.href)
            if not owners:
                return rights.may_write_something
            return any(rights.may_read(self._shared.tree[owner.path].privilege, owner.href) for owner in owners)
        return rights.may_read(self.privilege, self.place.href)

    def may_write(self, request: Request) -> bool:
        """Secrets are made by whoever may write anything."""
        return may_write(request.member.rights, self.endpoint, self.key)

    async def get(self, request: Request) -> Response:
        """Answer the resource as the caller sees it."""
        if past.is_asked(request):
            resource = await past.past_resource(self._shared.pipeline, request, self.endpoint, self.key)
        else:
            _no_query(request)
            resource = encoded(self._shared.snapshot(request), self.endpoint, self.key)
        headers = {"ETag": resource.etag}
        if is_named(request.headers.get("if-none-match"), resource.etag):
            return Response(b"", 304, headers)
        return Response(with_warnings(resource, self._shared.logins.remaining(request.member), []), headers=headers)

    async def put(self, request: Request) -> Response:
        """Replace the body."""
        node, strict = self.endpoint.node, request.strict

        def write(candidate: Candidate, value: Any) -> tuple[str, Warnings]:
            return "", node.replace(candidate, self.key, value, strict=strict)

        return await self._write(request, write, 200)

    async def post(self, request: Request) -> Response:
        """Append to a list, or make an object."""
        node, strict = self.endpoint.node, request.strict

        def write(candidate: Candidate, value: Any) -> tuple[str, Warnings]:
            return node.add(candidate, value, strict=strict)

        return await self._write(request, write, 201)

    async def delete(self, request: Request) -> Response:
        """Remove the object."""
        _no_query(request)
        async with written_in_turn(request, self._shared.running, copied=False) as draft:
            self._check_still_there(request)
            self._check_match(request)
            self._shared.check_scope(draft.candidate.snapshot, self.place)
            self.endpoint.node.delete(draft.candidate, self.key, self._shared.tree.node)
        return Response({"meta": {"href": request.href, "parent": request.parent, "transaction": TRANSACTION}})

    async def _write(self, request: Request, write: Callable[[Candidate, Any], tuple[str, Warnings]], status: int) -> Response:
        """Carry out a write in the caller's candidate.

        ``write`` returns the key of what it made, and warnings. The maker of the node turns what was sent into what it gets, in a
        thread of its own, as a large body is written: others are served meanwhile.
        """
        _no_query(request)
        place, maker = self.place, self.endpoint.node.maker
        raw = await request.read()
        # Others go on reading the candidate that is there while a large body is written in a thread.
        large = len(raw) > _LARGE
        async with written_in_turn(request, self._shared.running, copied=large) as draft:
            self._check_still_there(request)
            self._check_match(request)
            login, candidate = draft.login, draft.candidate
            value = await asyncio.to_thread(request.decoded, raw) if large else request.decoded(raw)
            if maker is not None:
                value = await HEAVY.run(login.account, partial(maker, strict=request.strict), value)
            request.check_again()
            self._shared.check_scope(candidate.snapshot, place)
            before = candidate.snapshot.document(place)
            key, written = await asyncio.to_thread(write, candidate, value) if large else write(candidate, value)
            warnings = (*written, *self._shared.told(place))
        self._shared.probe(self.place, before, candidate)
        made = self.key or key
        resource = encoded(candidate.snapshot, self.endpoint, made)
        href = f"{self.endpoint.path}/{made}" if made else self.endpoint.path
        headers = {"ETag": resource.etag} | ({"Location": href} if status == 201 else {})  # noqa: PLR2004 - HTTP's number
        if request.strict:
            headers["Preference-Applied"] = "handling=strict"
        shown = as_json(warnings, href)
        return Response(with_warnings(resource, self._shared.logins.remaining(login), shown), status, headers)

    def _check_still_there(self, request: Request) -> None:
        """Look again now that the writes of this login session before this one are done."""
        if self.key and self._shared.snapshot(request).document(self.place) is None:
            raise errors.not_found(request.href, self.key)

    def _check_match(self, request: Request) -> None:
        check_match(request.headers.get("if-match"), self._shared.snapshot(request), self.endpoint, self.key)


def may_write(rights: Rights, endpoint: Endpoint, key: str) -> bool:
    """Whether an account with these rights may write a resource; secrets are made by whoever may write anything."""
    if isinstance(endpoint.node, WriteOnce):
        return rights.may_write_something and rights.reaches(Place(endpoint.path, key).href)
    return rights.may_write(endpoint.privilege, Place(endpoint.path, key).href)


def check_match(wanted: str | None, snapshot: Snapshot, endpoint: Endpoint, key: str) -> None:
    """Raise 412 unless a resource is in the state that an If-Match names; None names any."""
    if wanted is None or isinstance(endpoint.node, WriteOnce):
        return
    present = encoded(snapshot, endpoint, key).etag
    if not is_named(wanted, present):
        raise errors.precondition_failed(present, Place(endpoint.path, key).href)


def _no_query(request: Request) -> None:
    if request.query:
        raise errors.invalid_query(("unknown_parameter", "This resource takes no parameters.", name) for name in request.query)
