"""What the guide says of second persons, history, drift and tokens, pasted into a shell beside a fresh server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs.guide import blocks, shell

if TYPE_CHECKING:
    from pathlib import Path


def test_the_sections_on_history_drift_and_tokens_are_true(tmp_path: Path) -> None:
    changed, proven = blocks("Who changed what", "sh")
    [drift] = blocks("What somebody changes on the host", "sh")
    [tokens] = blocks("Tokens", "sh")
    shown = shell(changed + proven + drift + tokens, tmp_path, r"(Kept nowhere: .*\n|Warning: .*\n)*")
    assert re.findall(r"Revision \d+ is in effect", shown) == [f"Revision {number} is in effect" for number in (2, 3, 4)]
    history, _, rest = shown.partition("SETTING ")
    assert "the office has moved" in history
    assert "\n3 " not in history, "what changed elsewhere is no part of it"
    assert re.search(r"\(all\) +2 +.* admin +\"Europe/Vienna\"", rest)
    assert "- Europe/Vienna\n" in rest, "and back"
    assert "The history is whole and the host is as the running revision says." in rest
    assert "+Asia/Tokyo" in rest
    assert re.search(r"The host is as configured again\.\n(?!Asia/Tokyo)[\w/]+\n", rest)
    assert re.search(r"prometheus .*127\.0\.0\.0/8", rest)
    assert "doorward_running_revision 4.0" in rest
    assert re.search(r"Token \S+ has ended\.\n$", shown)
    assert (tmp_path / "head-of-the-history").read_text().startswith('{"hash":"')


def test_the_section_on_second_persons_is_true(tmp_path: Path) -> None:
    prepared, proposed, decided = blocks("Changes that take a second person", "sh")
    shown = shell(prepared + proposed + decided, tmp_path, r"(Warning: .*\n)*")
    before, _, after = shown.partition("It waits for security: ")
    assert re.findall(r"Revision \d+ is in effect", before) == [f"Revision {number} is in effect" for number in range(2, 7)]
    assert "security (0 of 1)" in after
    assert "as on the label" in after
    assert "Revision 7 is in effect." in after
    assert "horse-battery" not in shown
