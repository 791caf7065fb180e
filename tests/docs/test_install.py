"""The pages for administrators: the targets, units and files that installation names are there, and tests run their commands."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.image.build import NUMBER, PORT, SSH_PORT
from tests.docs.commands import named

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs" / "install.md").read_text("utf-8").split())


def test_each_target_of_make_is_there() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"(?:`|# build) ?make ([a-z-]+)", PAGE))
    assert {"deb", "image", "image-test"} <= named <= set(targets)


NOT_RUN = {
    "build": "make deb-test builds the packages that it installs",
    "known": "facts of a machine; tests put their own in place of them",
}
"""Blocks that no test pastes, and why."""
PASTED = {"scripts/deb/*.py": r'block\("([\w ]+)"', "tests/system/test_backup_everywhere.py": r'"(\w+)": by_command'}
"""Who pastes the others, and how that is seen there."""


def test_each_command_is_run_by_some_test() -> None:
    names = [name for page in ("install.md", "recovery.md") for name in named(page)]
    names += ["backups to a server", "on the backup server", "the policy"]  # of the guide, whose other commands take no machine
    assert len(names) == len(set(names))
    assert set(names[-3:]) <= set(named("guide.md"))
    texts = ((path.read_text("utf-8"), pattern) for name, pattern in PASTED.items() for path in ROOT.glob(name))
    pasted = {name for text, pattern in texts for name in re.findall(pattern, text)}
    assert set(names) == pasted | set(NOT_RUN)
    assert not pasted & set(NOT_RUN)


OF_SCALING = {
    "doorward serve --catalogue": "test_gateways_share_a_catalogue",
    "systemctl stop doorward": "test_gateways_share_a_catalogue",
    "haproxy.cfg": "test_gateways_behind_haproxy",
    "doorward cluster remove": "test_archive_adopted",
}
"""How blocks of the page on scaling begin, and which test reads them there and runs them."""


def test_each_command_of_scaling_is_run_by_some_test() -> None:
    names = named("scaling.md")
    assert len(names) == len(OF_SCALING)
    assert all(name.startswith(begin) for name, begin in zip(names, OF_SCALING, strict=True))
    for test in OF_SCALING.values():
        assert '/ "docs/scaling.md").read_text(' in (ROOT / f"tests/system/{test}.py").read_text("utf-8")


def test_each_unit_and_file_is_there() -> None:
    for unit in re.findall(r"`(doorward[a-z-]*)` \|", PAGE):
        assert (ROOT / f"packaging/systemd/{unit}.service").is_file()
    for path in re.findall(r"`(packaging/[\w./-]+)`", PAGE):
        assert (ROOT / path).exists()


def test_the_section_on_containers_is_so() -> None:
    assert f"on the ports {PORT} and {SSH_PORT}, as the account {NUMBER}" in PAGE


def test_an_older_release_ends_as_the_unit_expects() -> None:
    from doorward.appliance.options import NewerStateError

    [code] = re.findall(
        r"^RestartPreventExitStatus=(\d+)$", (ROOT / "packaging/systemd/doorward.service").read_text(), re.MULTILINE
    )
    assert int(code) == NewerStateError.code
    assert f"ends with the code {code}" in PAGE
