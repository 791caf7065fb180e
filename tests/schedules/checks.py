"""What must be true of a cluster whatever happens to it. Both worlds, the simulated and the real one, tell what they see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

At = tuple[int, int]
"""Epoch and number of a cluster revision."""

OFFLINE = 60.0
"""Seconds without a report after which a node is offline (cluster contract, section 9)."""


@dataclass(frozen=True)
class Settled:
    """What a node is for good: digests of the settings that Central Management sets, and of all that can go back."""

    content: str
    whole: str


@dataclass
class Trial:
    """A commit that goes back unless it is confirmed: its id, its revision, and what there was before it, as digests.

    ``asked``: somebody was about to confirm it.
    """

    commit: str
    revision: int
    before: Settled
    asked: bool = False


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
    trials: dict[str, Trial] = field(default_factory=dict)
    """By node: what is on trial there."""
    confirmed: dict[str, dict[str, int]] = field(default_factory=dict)
    """By node: the commits on trial whose confirmation was answered, with their revisions."""

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
        self.confirmed[node] = {one: at for one, at in self.confirmed.get(node, {}).items() if at <= number}
        self.trials.pop(node, None)

    # What is on trial goes back whole, unless it was confirmed, and then it stays

    def confirms(self, node: str, *, done: bool) -> None:
        """Somebody is about to confirm what is on trial, or was told that it is done."""
        trial = self.trials[node]
        trial.asked = True
        if done:
            self.confirmed.setdefault(node, {})[trial.commit] = trial.revision

    def over(self, node: str, state: str | None, now: Settled | None) -> None:
        """A trial is over. ``state`` is what the record of its commit says, ``now`` what there is, if nothing came after."""
        trial = self.trials.pop(node)
        assert state in {"done", "reverted"}, f"nothing is on trial on {node}, and its commit is {state}"
        if state == "done":
            assert trial.asked, f"{node} keeps what nobody confirmed"
        elif now is not None:
            assert now == trial.before, f"{node} took revision {trial.revision} back and is not what it was before"

    def kept(self, node: str, state: Callable[[str], str | None]) -> None:
        """Look for everything whose confirmation was answered: a record that it is done. ``state`` tells that of a commit."""
        for commit in self.confirmed.get(node, {}):
            assert state(commit) == "done", f"{node} confirmed commit {commit}, and now it is {state(commit)}"

    def settled(self, node: str, now: Settled) -> Settled:
        """Return what a node is for good, which runs unless something is on trial."""
        return self.trials[node].before if node in self.trials else now

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

    # What Central Management says of a node

    def status(
        self, node: str, item: dict[str, Any], silent: tuple[float, float], wanted: str | None, running: str | None
    ) -> None:
        """Hold what Central Management says of a node against what is known.

        ``silent``: least and most seconds since Central Management took its last report; ``wanted`` is a digest of the
        settings that Central Management runs, ``running`` of those that the node had when it made that report.
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
            assert not issues(item), f"{node} is shown as ok with {issues(item)}"

    def releases(self, node: str, item: dict[str, Any], own: str, central: str) -> None:
        """Look whether a node says that Central Management is of another release, if and only if it is."""
        messages = [issue["message"] for issue in issues(item) if issue["code"] == "version_mismatch"]
        differs = own != central
        assert bool(messages) == differs, f"{node} runs {own}, its Central Management {central}, and it says {messages}"
        assert all(own in message and central in message for message in messages), f"{node} runs {own} and says {messages}"


def issues(item: dict[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with a node, as Central Management shows it."""
    found = item.get("issues") or (item.get("configuration_sync") or {}).get("issues") or {}
    return [issue for several in found.values() for issue in several]
