"""``make pictures``: draw the pictures of the documentation again. With ``--record`` the cast is recorded anew before."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.pictures.cast import cast, load, save
from scripts.pictures.diagram import diagram

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
RECORD = FOLDER / "cast.json"


def pictures() -> dict[str, str]:
    """Return every picture by the name of its file."""
    return {"cast.svg": cast(load(RECORD)), "commit.svg": diagram()}


def main() -> None:
    """Draw."""
    if "--record" in sys.argv[1:]:
        from scripts.pictures.recording import record

        save(RECORD, record())
    for name, drawn in pictures().items():
        (FOLDER / name).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
