"""References to a part of another body, such as an address of a network interface."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.references import Reference, RefersToPart
from doorward.tree.snapshot import Document, Snapshot

Part = Annotated[Reference, RefersToPart("/nics", steps=("interfaces", None, "addresses", None))]
ADAPTER: TypeAdapter[Any] = TypeAdapter(Part)
KEY, HREF = "nic1.interfaces.ff75.addresses.2553", "/nics/nic1#interfaces/ff75/addresses/2553"
CASES = [(KEY, True), (KEY.replace("2553", "other"), False), (KEY.replace("nic1", "nic2"), False)]


@pytest.mark.parametrize("sent", [KEY, {"key": KEY, "meta": {"href": HREF}}])
def test_a_part_is_written_with_dots_and_read_with_its_href(sent: Any) -> None:
    reference = ADAPTER.validate_python(sent)
    assert (reference.text, reference.href, reference.place) == (KEY, HREF, Place("/nics/nic1"))
    assert ADAPTER.dump_python(reference) == KEY
    assert ADAPTER.dump_python(reference, context={"expand": True}) == {"key": KEY, "meta": {"href": HREF}}


@pytest.mark.parametrize("sent", ["nic1", "nic1.interfaces.a", "nic1.interfaces.a.names.b", KEY + ".more", "", 7, None, {}])
def test_a_key_of_another_form_is_refused(sent: Any) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(sent)


@pytest.mark.parametrize(("key", "there"), CASES)
def test_a_part_is_there_when_the_body_has_it(key: str, there: bool) -> None:
    body = {"interfaces": {"@order": ["ff75"], "ff75": {"addresses": {"@order": ["2553"], "2553": "127.0.0.1/8"}}}}
    stored = encode(body)
    snapshot = Snapshot.of([(Place("/nics/nic1"), 0, Document(stored, stored))])
    assert snapshot.has(ADAPTER.validate_python(key)) is there
