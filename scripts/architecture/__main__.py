"""Puts the diagram of the packages, as they import each other now, into ``docs/architecture.md``.

python -m scripts.architecture
"""

from __future__ import annotations

from scripts.architecture.diagram import DOCUMENT, document

if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
