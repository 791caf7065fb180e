"""Doorward with private keys whose generation never ends."""

from __future__ import annotations

import time
from typing import NoReturn

from doorward.cli import main
from doorward.configuration import private_keys

BEGUN = "a key is begun"


def endless(_kind: str) -> NoReturn:
    """Say that it is begun, and go on for as long as the process lives."""
    print(BEGUN, flush=True)  # noqa: T201 - heard by the test
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    private_keys.generated = endless  # type: ignore[assignment]
    main()
