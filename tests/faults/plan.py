"""How many steps there are at the least: surveys find them all, and kill where something else is left than at the step before.

A step ahead of something that lasts is a number; the one behind it is the next number, unless it is told by its name.
"""

TIME_SERVERS = 32
TIME_ZONE = 29
EVERYTHING = 41
STORE_ONLY = 15
RESTORE = 41
COMMIT_TO_CONFIRM = 33
CONFIRMATION = 6
"""Steps of a commit, by what it is about."""

ACCEPTANCE = 36
"""Steps of the acceptance of a proposal of other time servers."""

RETURN = 41
RECOVERY = 29
FIRST_START = 86
"""Steps of a start: that takes a commit back, that follows a kill, that makes everything."""

ROTATION = 19
"""Steps of a change of the data key."""

LISTENERS = (
    "before SqliteStore.begin", "before Listeners.open", "after Listeners.open", "before SqliteStore.publish",
    "before CommitSubscribers.tell", "before Listeners.settle", "after Listeners.settle", "before answer",
)  # fmt: skip
"""Steps of a commit that moves a listener."""

NETWORK = ("before SqliteStore.begin", "after Managed.keep", 10, 15, 20, "before SqliteStore.publish", "before answer")
"""Steps of a commit that takes the network over; those with numbers are between its files."""

BATCH = (
    "before SqliteStore.begin", "after COMMIT", "before Host._step", 10, 20, "before SqliteStore.publish",
    "before CommitSubscribers.tell", "before answer",
)  # fmt: skip
"""Steps of changes that come with their commit in one request; those with numbers are on the host."""

AT_ANY_TIME = 25
"""Kills at random moments."""
