"""What must be true of a cluster whatever happens to it. Both worlds, the simulated and the real one, tell what they see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

At = tuple[int, int]
"""Epoch and number of a cluster revision."""

OFFLINE = 60.0
"""Seconds without a report after which a node is offline (cluster contract, section 9)."""


@dataclass
class Checker:
    """Remembers what was said, and fails where something else is said later."""

    offline: float = OFFLINE
    acknowledged: dict[str, dict[int, str]] = field(default_factory=dict)
    """By node: the revisions whose commit was answered, with their hashes."""
    contents: dict[At, tuple[str, str | None]] = field(default_factory=dict)
    """What each cluster revision is: its hash, and a digest of the settings in it where one was seen."""
    taken: dict[str, At] = field(default_factory=dict)
    """By node: the newest revision that it is known to have in effect."""

    # No acknowledged commit is lost

    def committed(self, node: str, number: int, digest: str) -> None:
        """A commit was acknowledged."""
        self.acknowledged.setdefault(node, {})[number] = digest

    def history(self, node: str, revision: Callable[[int], str | None], since: int = 0) -> None:
        """Look for everything acknowledged in the history of a node, from a revision on."""
        for number, digest in self.acknowledged.get(node, {}).items():
            assert number < since or revision(number) == digest, f"{node} lost its revision {number}"

    def restored(self, node: str, number: int) -> None:
        """A node is again what it was at a revision, on purpose."""
        known = self.acknowledged.get(node, {})
        self.acknowledged[node] = {one: digest for one, digest in known.items() if one <= number}

    # No two nodes at one revision with different content, and none goes back

    def revision(self, at: At, digest: str, content: str | None = None) -> None:
        """Somebody has a cluster revision, perhaps with its content."""
        known, held = self.contents.get(at, (digest, None))
        assert known == digest, f"there are two cluster revisions {at}"
        assert content is None or held is None or held == content, f"there are two contents of the cluster revision {at}"
        self.contents[at] = digest, held or content

    def applied(self, node: str, at: At) -> None:
        """A node says that it has a cluster revision in effect."""
        assert at >= self.taken.get(node, (0, 0)), f"{node} went back from {self.taken[node]} to {at}"
        self.taken[node] = at

    def let_go(self, node: str) -> None:
        """A node follows nobody any more; what it took is its own, and it may begin anew."""
        self.taken.pop(node, None)

    # What the centre says of a node

    def status(
        self, node: str, item: dict[str, Any], silent: tuple[float, float], wanted: str | None, running: str | None
    ) -> None:
        """Hold what the centre says of a node against what is known.

        ``silent``: at least and at most how many seconds ago the centre took its last report; ``wanted`` is a digest of the
        settings that the centre runs, ``running`` of those that the node had when it made that report.
        """
        least, most = silent
        offline = item["status"] == "offline"
        assert offline or least <= self.offline, f"{node} has been silent for {least:.0f} s and is not shown as offline"
        assert not offline or most > self.offline, f"{node} is shown as offline, and reported {most:.0f} s ago"
        if item["sync_status"] == "up-to-date":
            assert running == wanted, f"{node} is shown as up-to-date and runs something else"
        if item["sync_status"] == "outdated":
            assert item["configuration_sync"]["issues"].get("errors"), f"{node} is shown as outdated without a reason"
        if item["status"] == "ok":
            issues = item.get("issues") or (item.get("configuration_sync") or {}).get("issues")
            assert not issues, f"{node} is shown as ok with {issues}"
