"""Doorward that loses its patience early, with a password hash that takes no time.

``HASTY`` holds limits as ``module.NAME=seconds``, divided by blanks.
"""

import importlib
import os

from argon2 import PasswordHasher

from doorward.access import passwords
from doorward.cli import main

passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
for limit in os.environ["HASTY"].split():
    name, _, seconds = limit.partition("=")
    module, _, attribute = name.rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), attribute), float)
    setattr(importlib.import_module(module), attribute, float(seconds))
main()
