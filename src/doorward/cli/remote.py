"""The configuration as the server has it, read when it is needed and then remembered."""

from __future__ import annotations

from typing import Any

from doorward.cli import parts
from doorward.cli.failures import short
from doorward.client.blocking import Client
from doorward.client.errors import ApiRefusedError
from doorward.tree.nodes import Collection
from doorward.tree.references import RefersToPart
from doorward.tree.registry import Tree


class Remote:
    """Bodies and objects by path, for the time of one command."""

    def __init__(self, client: Client, tree: Tree) -> None:
        self._client, self._tree = client, tree
        self._values: dict[str, Any] = {}
        self._objects: dict[str, dict[str, Any]] = {}
        self._before: dict[str, dict[str, Any]] = {}
        self._known: dict[str, dict[str, Any]] = {}

    def forget(self) -> None:
        """Read again from now on: something was written. Names of what is gone by then stay known."""
        self._before |= self._objects
        self._values, self._objects, self._known = {}, {}, {}

    @property
    def node(self) -> str | None:
        """The id of the node that answers; None where it does not say."""
        found = self._client.get("/api/info").meta.get("node")
        return found if isinstance(found, str) else None

    def make(self, store: str, body: Any) -> str:
        """Make a password, private key or certificate; return its key."""
        return str(self._client.write("POST", store, body).content["key"])

    def value(self, path: str) -> Any:
        """Return the body of a single value or list."""
        if path not in self._values:
            self._values[path] = self._client.body(path)
        return self._values[path]

    def objects(self, path: str) -> dict[str, Any]:
        """Return the objects of a collection by key, in order."""
        if path not in self._objects:
            items = self._client.get(path).content["items"]
            self._objects[path] = {item["key"]: item["body"] for item in items}
        return self._objects[path]

    def name(self, path: str, key: str) -> str:
        """Return the name of an object where it has one that is clear, else its key."""
        endpoint = self._tree.endpoints.get(path)
        if endpoint is None or not isinstance(endpoint.node, Collection) or not endpoint.node.unique:
            return key
        try:
            if path not in self._known:
                self._known[path] = self._before.get(path, {}) | self.objects(path)
        except ApiRefusedError:  # the account may not read them
            return key
        found = self._known[path]
        name = found.get(key, {}).get(endpoint.node.unique)
        return name if isinstance(name, str) and name not in found else key

    def parts(self, to: RefersToPart) -> dict[str, str]:
        """Return the names of the parts that can be referred to, by key; none that the account may not read."""
        try:
            return parts.names(self._tree, to, self.value)
        except ApiRefusedError:
            return {}

    def label(self, href: str) -> str:
        """Return a path with the name of the object in place of its key, for people."""
        resource, mark, inner = href.partition("#")
        path, _, key = resource.rpartition("/")
        if self.is_object(resource):
            resource = f"{path}/{self.name(path, key)}"
        return short(resource) + mark + inner

    def is_object(self, href: str) -> bool:
        """Whether a path is that of an object."""
        return href not in self._tree.endpoints and href.rpartition("/")[0] in self._tree.endpoints
