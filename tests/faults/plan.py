"""How many steps there are at the least. Every one of them is a test, and a kill."""

TIME_SERVERS = 40
TIME_ZONE = 35
EVERYTHING = 55
STORE_ONLY = 14
RESTORE = 40
COMMIT_TO_CONFIRM = 40
CONFIRMATION = 6
"""Steps of a commit, by what it is about."""

RETURN = 50
RECOVERY = 30
FIRST_START = 70
"""Steps of a start: that takes a commit back, that follows a kill, that makes everything."""

AT_ANY_TIME = 25
"""Kills at random moments."""

BEYOND = 40
"""How many more steps there may be; the last test of each file goes on to the end."""
