"""Where a document stands: the href of its endpoint, and the key of the object where the endpoint is a collection."""

from __future__ import annotations

from typing import NamedTuple

ROOT = "/api/configuration"
"""Where the configuration tree hangs in the API."""


class Place(NamedTuple):
    """The address of one document. ``key`` is "" for a singleton."""

    path: str
    key: str = ""

    @property
    def href(self) -> str:
        """The href of the resource."""
        return f"{self.path}/{self.key}" if self.key else self.path
