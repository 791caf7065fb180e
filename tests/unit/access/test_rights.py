"""What an account may do: the union over its groups, by object and by subtree."""

from __future__ import annotations

from typing import Any

import pytest

import doorward.configuration
from doorward.access.rights import Rights, rights_of
from doorward.configuration.aaa import acls
from doorward.configuration.aaa.local_database import groups, users
from doorward.host.machine import Machine
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.registry import discover
from doorward.tree.snapshot import Document, Snapshot

TREE = discover(doorward.configuration)
ROOT = "/api/configuration"
BASIC, AUTH = "/special/basic", "/special/auth"


def put(snapshot: Snapshot, path: str, key: str, body: Any) -> Snapshot:
    place = Place(path, key)
    return snapshot.put(place, TREE.load(place, body))


def jane_in(*names: str, lines: list[dict[str, Any]] | None = None, own: tuple[str, ...] = ()) -> Rights:
    """The rights of a user in built-in groups and in groups of one's own."""
    snapshot = put(TREE.defaults(Machine()), users.PATH, "jane", {"name": "jane"})
    by_name = {document.value["name"]: key for key, document in snapshot.objects(groups.PATH).items()}
    for name in names:
        snapshot = put(snapshot, groups.PATH, by_name[name], {"name": name, "members": ["-1", "jane"]})
    for number, name in enumerate(own):
        snapshot = put(snapshot, groups.PATH, f"own{number}", {"name": name, "members": ["jane"]})
    if lines is not None:
        stored = encode(lines)
        document = Document(stored, stored)
        # Without the model's checks, which take no path that leads nowhere.
        document.__dict__["model"] = [acls.Line.model_construct(**line) for line in lines]
        snapshot = snapshot.put(Place(acls.PATH), document)
    return rights_of(snapshot, "jane")


def line(group: str, permission: str, *objects: str) -> dict[str, Any]:
    return {"group": group, "objects": list(objects), "permission": permission}


def may(rights: Rights, privilege: str, path: str = ROOT + "/x") -> tuple[bool, bool]:
    return rights.may_read(privilege, path), rights.may_write(privilege, path)


def test_without_a_group_nothing_may_be_done() -> None:
    rights = jane_in()
    assert may(rights, BASIC) == (False, False)
    assert not rights.may_write_something
    assert rights.groups == ()
    assert rights.lines == ()


def test_reading_is_not_writing() -> None:
    rights = jane_in("basic-view")
    assert may(rights, BASIC) == (True, False)
    assert may(rights, AUTH) == (False, False)
    assert not rights.may_write_something


def test_writing_includes_reading() -> None:
    rights = jane_in("basic-write")
    assert may(rights, BASIC) == (True, True)
    assert rights.may_write_something


def test_rights_are_the_union_over_all_groups() -> None:
    rights = jane_in("basic-view", "auth-write", "changelog")
    assert may(rights, BASIC) == (True, False)
    assert may(rights, AUTH) == (True, True)
    assert may(rights, "/special/changelog") == (True, False)
    assert rights.groups == ("auth-write", "basic-view", "changelog")
    assert [found.group for found in rights.lines] == ["basic-view", "auth-write", "changelog"]


def test_several_lines_of_one_group_add_up() -> None:
    lines = [line("ops", "read", BASIC, AUTH), line("ops", "write", AUTH), line("others", "write", BASIC)]
    rights = jane_in(lines=lines, own=("ops",))
    assert may(rights, BASIC) == (True, False)
    assert may(rights, AUTH) == (True, True)
    assert [found.model_dump() for found in rights.lines] == lines[:2]


SERVERS = ROOT + "/datetime/ntp_servers"


@pytest.mark.parametrize(
    ("granted", "path", "within"),
    [
        (SERVERS, SERVERS, True),
        (ROOT + "/datetime", SERVERS, True),
        (ROOT, SERVERS, True),
        (ROOT + "/datetime", ROOT + "/datetime", True),
        (ROOT + "/datetime", ROOT + "/datetime2/x", False),
        (ROOT + "/date", SERVERS, False),
        (SERVERS, ROOT + "/datetime", False),
        (SERVERS, ROOT + "/datetime/timezone", False),
        (ROOT + "/datetime", "/api/datetime/x", False),
    ],
)
@pytest.mark.parametrize("permission", ["read", "write"])
def test_a_path_stands_for_its_subtree(granted: str, path: str, within: bool, permission: str) -> None:
    rights = jane_in(lines=[line("ops", permission, granted)], own=("ops",))
    assert may(rights, BASIC, path) == (within, within and permission == "write")
    assert rights.may_write_something == (permission == "write")


def test_admin_may_do_everything_without_any_line() -> None:
    snapshot = put(TREE.defaults(Machine()), acls.PATH, "", [line("basic-view", "read", BASIC)])
    rights = rights_of(snapshot, users.ADMIN)
    assert may(rights, "/special/anything", "/api/anything") == (True, True)
    assert rights.may_write_something


def test_nobody_else_becomes_admin_by_a_group() -> None:
    every = [document.value["name"] for _, document in TREE.defaults(Machine()).objects(groups.PATH).items()]
    rights = jane_in(*every)
    assert not rights.everything
    assert may(rights, "/special/anything") == (False, False)


def test_rights_stay_as_they_were_at_login() -> None:
    """They are values: nothing that is committed later changes them."""
    rights = jane_in("basic-view")
    with pytest.raises(AttributeError):
        rights.everything = True  # type: ignore[misc]
    assert isinstance(hash(rights.readable), int)
