"""Every address of the API, found by following what it lists."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import doorward.configuration
from doorward.tree.nodes import Valued, WriteOnce
from doorward.tree.registry import Tree, discover
from tests.contract.wire import Caller

HIDDEN = ("/api/configuration/management/accounting", "/api/configuration/ssh/host_keys")
UNLISTED = (*HIDDEN, "/api/metrics", "/api/openapi.json", "/api/time_status/sync")


@cache
def tree() -> Tree:
    """The declared tree, for what an answer does not tell: whether this release honours an endpoint."""
    return discover(doorward.configuration)


def endpoint_of(path: str) -> str:
    """The path of the endpoint to which a resource belongs: its own, or that of its collection."""
    return path if path in tree().endpoints else path.rpartition("/")[0]


def supported(path: str) -> bool:
    node = tree()[endpoint_of(path)].node
    return node.supported and isinstance(node, (Valued, WriteOnce))


def listed(caller: Caller, path: str) -> Iterator[str]:
    """A path, and everything that is listed below it."""
    yield path
    answer = caller.get(path)
    if answer.status == 200:
        for item in answer.json.get("items", []):
            yield from listed(caller, item["meta"]["href"])


def configuration(caller: Caller) -> list[str]:
    """Every resource of the tree, objects and unlisted ones included."""
    return [*listed(caller, "/api/configuration"), *HIDDEN]


def everything(caller: Caller) -> list[str]:
    """Every resource of the API."""
    found = [*listed(caller, "/api"), *UNLISTED]
    found += ["/api/authentication/login_methods", "/api/transaction/changes", "/api/transaction/plan"]
    found += [f"/api/revisions/1/{name}" for name in ("changes", "restore")]
    return sorted(set(found) - {"/api/cluster/status"})  # not there on a node that is in no cluster
