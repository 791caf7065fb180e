"""``/api/backup/target_tests`` and ``/api/backup/host_keys``: trying a target before it is relied on (sections 10.7 and 10.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter
from pydantic_core import InitErrorDetails

from doorward.api import errors
from doorward.api.backup.answers import BACKUP
from doorward.api.bodies import sent
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, envelope
from doorward.areas.threads import call_remote
from doorward.backup.service import Backups
from doorward.configuration.policies import backup_policies
from doorward.transaction.privileged import may_use
from doorward.tree.destinations import uses
from doorward.tree.fields import Address, Port
from doorward.tree.models import Body, Interrelated, wrong
from doorward.tree.problems import Problem, pointer


class TargetCheckOrder(Interrelated):
    """Which target is tried: that of a policy, or one that is in no policy yet."""

    backup_policy: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = Field(
        None, description="Key of a backup policy of the running configuration."
    )
    target: backup_policies.BackupTarget | None = Field(None, description="A target as in a policy; its secrets are committed.")
    include_node_id_in_path: bool = Field(default=False, description="With target: whether the node has a directory of its own.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want one of both."""
        given = [name for name in ("backup_policy", "target") if sent.get(name) is not None]
        if not given:
            yield wrong("missing", "Required without target.", "backup_policy")
        elif len(given) > 1:
            yield wrong("contradiction", "Must not be given with backup_policy.", "target")


_ORDER: TypeAdapter[TargetCheckOrder] = TypeAdapter(TargetCheckOrder)


class TargetTests(Resource):
    """Tries a target with a file of its own."""

    operations = {
        "POST": Operation(
            "Write, read back and delete a file on a target.",
            answer_schema(body={"type": "object"}, key={"const": "target_tests"}),
            body=_ORDER,
            errors=(400, 403),
        )
    }
    privilege = BACKUP

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    async def post(self, request: Request) -> Response:
        """Answer the steps up to the first that failed."""
        order, warnings = await sent(request, _ORDER)
        target, per_node = await asyncio.to_thread(self._target, order, request)
        body = await call_remote(self._backups.try_target, target, per_node=per_node)
        return envelope(request, "target_tests", body, **({"warnings": warnings} if warnings else {}))

    def _target(self, order: TargetCheckOrder, request: Request) -> tuple[Mapping[str, Any], bool]:
        """Return the stored body of the target. Raises 400 where something it names is not there."""
        if order.target is None:
            policy = self._backups.policy(order.backup_policy or "")
            if policy is None:
                problem = Problem("unknown_reference", "There is no such backup policy.", "/backup_policy", request.href)
                raise errors.meaning([problem], "request")
            return policy["target"], policy["include_node_id_in_path"]
        if wrong_uses := list(self._wrong_uses(order, request)):
            raise errors.meaning(wrong_uses, "request")
        stored: Mapping[str, Any] = order.target.model_dump(mode="json")
        return stored, order.include_node_id_in_path

    def _wrong_uses(self, order: TargetCheckOrder, request: Request) -> Iterator[Problem]:
        """Yield what is wrong with the secrets that a target refers to: a test is no way to send one to another server."""
        pipeline, member = self._backups.node.pipeline, request.member
        snapshot = pipeline.running.snapshot
        for use in uses(order.target, ("target",)):
            if not snapshot.has(use.reference):
                message = "There is no such object in the running configuration."
                yield Problem("unknown_reference", message, pointer(use.at), request.href)
            elif not member.rights.everything and not may_use(pipeline.tree, pipeline.store, snapshot, use, member.account):
                message = "A stored password or key is only used towards the server that it was committed for."
                yield Problem("secret_required", message, pointer(use.at), request.href)


class AskedServer(Body):
    """Which SSH server is asked."""

    server: Address = Field(description="The SSH server.")
    port: Port = Field(default=22, description="Its port.")


_SERVER: TypeAdapter[AskedServer] = TypeAdapter(AskedServer)


class HostKeyScan(Resource):
    """Reads the host keys of an SSH server, for a person to compare."""

    operations = {
        "POST": Operation(
            "The host keys that an SSH server shows; nothing is stored or trusted.",
            answer_schema(body={"type": "object"}, key={"const": "host_keys"}),
            body=_SERVER,
            errors=(400, 403),
        )
    }
    privilege = BACKUP

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    async def post(self, request: Request) -> Response:
        """Answer the keys, none and a code where the server shows none."""
        asked, warnings = await sent(request, _SERVER)
        body = await call_remote(self._backups.host_keys, asked.server.value, asked.port)
        return envelope(request, "host_keys", body, **({"warnings": warnings} if warnings else {}))
