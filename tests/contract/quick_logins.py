"""Doorward with a password hash that takes no time: for tests of many logins, not of passwords."""

from argon2 import PasswordHasher

from doorward.access import passwords
from doorward.cli import main

passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
main()
