"""A configuration as a value: immutable, shared, indexed, in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.references import Reference
from doorward.tree.snapshot import Document, Objects, Snapshot, encode_shown, etag

USERS, GROUPS = "/api/configuration/users", "/api/configuration/groups"


def document(value: Any, *, name: str | None = None, refers: tuple[str, ...] = ()) -> Document:
    stored = encode(value)
    return Document(stored, stored, frozenset(Reference(USERS, key) for key in refers), name)


ONE, TWO, THREE = document(1, name="a"), document(2, name="b"), document(3, name="a")


def test_a_document_is_its_stored_bytes() -> None:
    assert document({"b": 1, "a": 2}) == document({"a": 2, "b": 1}, name="x")
    assert hash(document([1])) == hash(document([1]))
    assert document([1]) != document([2])
    assert document([1]) != b"[1]"
    assert document({"a": [1]}).value == {"a": [1]}


def test_a_document_whose_shown_form_is_the_stored_one_keeps_it_once() -> None:
    stored = encode({"a": 1})
    assert encode_shown(stored, {"a": 1}) is stored
    expanded = encode_shown(stored, {"a": {"key": 1}})
    assert Document(stored, expanded).shown_value == {"a": {"key": 1}}
    assert Document(stored, stored).shown_value == {"a": 1}


def test_an_entity_tag_is_half_of_a_sha_256() -> None:
    assert etag(b'[{"selection":"fqdn","value":"pool.ntp.org"}]') == '"c76f60858c1ebdc352ff15e85745b728"'


def test_a_change_leaves_the_predecessor_alone_and_shares_the_rest() -> None:
    before = Snapshot.of([(Place("/s"), 0, ONE), (Place("/t"), 0, TWO), (Place(USERS, "x"), 0, ONE)])
    after = before.put(Place("/s"), THREE)
    assert before.document(Place("/s")) is ONE
    assert after.document(Place("/s")) is THREE
    assert after.document(Place("/t")) is TWO
    assert after.collections is before.collections
    assert after.referrers is before.referrers
    grown = after.put(Place(USERS, "y"), TWO)
    assert grown.singletons is after.singletons
    assert len(after.objects(USERS)) == 1


def test_a_new_snapshot_remembers_no_answers_of_the_old_one() -> None:
    before = Snapshot.of([(Place("/s"), 0, ONE), (Place(USERS, "x"), 0, ONE)])
    before.memo["/s"] = "answer"
    assert before.put(Place("/s"), TWO).memo == {}
    assert before.put(Place(USERS, "y"), TWO).memo == {}
    assert before.remove(Place(USERS, "x")).memo == {}
    assert before.memo == {"/s": "answer"}


def test_objects_stand_in_the_order_of_their_creation() -> None:
    objects = Objects().put("z", ONE).put("a", TWO).put("m", THREE)
    assert objects.order == ("z", "a", "m")
    assert objects.put("a", THREE).order == ("z", "a", "m")
    assert objects.remove("a").put("a", TWO).order == ("z", "m", "a")
    assert [objects.place_of(key) for key in objects.order] == [0, 1, 2]
    assert list(objects.items()) == [("z", ONE), ("a", TWO), ("m", THREE)]


def test_an_object_returns_to_its_former_place() -> None:
    objects = Objects().put("z", ONE).put("a", TWO).put("m", THREE)
    position = objects.entries["a"].position
    assert objects.remove("a").put("a", TWO, position).order == ("z", "a", "m")
    last = objects.entries["m"].position
    assert objects.remove("m").put("new", ONE).put("m", THREE, last).order == ("z", "a", "m", "new")


def test_names_lead_to_keys() -> None:
    objects = Objects().put("1", ONE).put("2", TWO).put("3", THREE)
    assert objects.with_names("a") == ("1", "3")
    assert objects.remove("1").with_names("a") == ("3",)
    assert objects.remove("1").remove("3").with_names("a") == ()
    renamed = objects.put("1", TWO)
    assert renamed.with_names("a") == ("3",)
    assert renamed.with_names("b") == ("2", "1")
    assert objects.with_names("nobody") == ()


def test_referrers_follow_every_change() -> None:
    group, user = Place(GROUPS, "g"), f"{USERS}/u"
    snapshot = Snapshot().put(Place(USERS, "u"), ONE).put(group, document([1], refers=("u",)))
    assert snapshot.who_refers_to(user) == [group]
    both = snapshot.put(Place("/s"), document([2], refers=("u", "v")))
    assert both.who_refers_to(user) == [group, Place("/s")]
    assert both.put(group, document([], refers=("v",))).who_refers_to(user) == [Place("/s")]
    gone = both.remove(group).put(Place("/s"), document([]))
    assert gone.who_refers_to(user) == []
    assert not gone.referrers


def test_what_is_not_there_is_none() -> None:
    assert Snapshot().document(Place("/s")) is None
    assert Snapshot().document(Place(USERS, "u")) is None
    assert len(Snapshot().objects(USERS)) == 0
    with pytest.raises(KeyError):
        Snapshot().value("/s")


KEYS = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "single", "return"]),
        st.sampled_from([USERS, GROUPS]),
        KEYS,
        st.integers(0, 3),
        st.lists(KEYS, max_size=2).map(tuple),
    ),
    max_size=30,
)


class Plain:
    """What a snapshot must come to: lists that are sorted and searched through."""

    def __init__(self) -> None:
        self.singletons: dict[str, Document] = {}
        self.rows: dict[str, list[tuple[int, str, Document]]] = {USERS: [], GROUPS: []}
        self.following = {USERS: 0, GROUPS: 0}
        self.left: dict[tuple[str, str], int] = {}

    def has(self, path: str, key: str) -> bool:
        return any(row[1] == key for row in self.rows[path])

    def remove(self, path: str, key: str) -> None:
        [row] = [row for row in self.rows[path] if row[1] == key]
        self.rows[path].remove(row)
        self.left[path, key] = row[0]

    def put(self, path: str, key: str, made: Document, back: int | None) -> None:
        found = [row for row in self.rows[path] if row[1] == key]
        position = found[0][0] if found else self.following[path] if back is None else back
        self.following[path] = max(self.following[path], position + 1)
        self.rows[path] = sorted([*(row for row in self.rows[path] if row[1] != key), (position, key, made)], key=lambda r: r[:2])

    def documents(self) -> dict[Place, Document]:
        objects = {Place(path, key): made for path, rows in self.rows.items() for _, key, made in rows}
        return objects | {Place(path): made for path, made in self.singletons.items()}


def agree(snapshot: Snapshot, plain: Plain) -> None:
    for path, rows in plain.rows.items():
        assert snapshot.objects(path).order == tuple(key for _, key, _ in rows)
        for position, key, made in rows:
            assert snapshot.document(Place(path, key)) == made
            assert snapshot.position(Place(path, key)) == position
        for name in ("n0", "n1", "n2", "n3"):
            assert set(snapshot.objects(path).with_names(name)) == {key for _, key, made in rows if made.name == name}
    documents = plain.documents()
    for key in "abcd":
        expected = [place for place, made in documents.items() if any(r.key == key for r in made.references)]
        assert snapshot.who_refers_to(f"{USERS}/{key}") == sorted(expected)


@given(STEPS)
def test_a_snapshot_behaves_like_plain_lists(steps: list[tuple[str, str, str, int, tuple[str, ...]]]) -> None:
    snapshot, plain = Snapshot(), Plain()
    for step, path, key, number, refers in steps:
        made = document([number, refers], name=f"n{number}", refers=refers)
        if step == "single":
            snapshot = snapshot.put(Place(path + key), made)
            plain.singletons[path + key] = made
        elif step != "remove":
            back = plain.left.pop((path, key), None) if step == "return" and not plain.has(path, key) else None
            snapshot = snapshot.put(Place(path, key), made, back)
            plain.put(path, key, made, back)
        elif plain.has(path, key):
            snapshot = snapshot.remove(Place(path, key))
            plain.remove(path, key)
    agree(snapshot, plain)
    agree(Snapshot.of((place, snapshot.position(place), made) for place, made in plain.documents().items()), plain)
