"""Workers of an earlier release go on under a newer control: whatever either says, the other has to know.

Either end refuses what it does not know (`proxy.messages`), so control may say less than the earlier release did where there is a
default, never more; and has to take all that earlier workers say. ``messages.golden.json`` is what they say and know; when
a release comes out it is made anew: ``python -m tests.unit.proxy.test_messages > tests/unit/proxy/messages.golden.json``.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from doorward.proxy.messages import ToControl, ToWorker

GOLDEN = Path(__file__).with_name("messages.golden.json")
NOTES = frozenset({"title", "description", "default", "discriminator"})
"""What of a JSON schema says nothing about what is said."""

Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
    """Return the JSON schemas of both ends, whole: no part refers to another place."""
    (to_worker, to_control), parts = msgspec.json.schema_components((ToWorker, ToControl))
    return {"to_worker": whole(to_worker, parts), "to_control": whole(to_control, parts)}


def whole(schema: Any, parts: dict[str, Schema]) -> Any:
    """Put in place of each reference what it refers to, without notes."""
    if isinstance(schema, list):
        return [whole(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return whole(parts[schema["$ref"].rsplit("/", 1)[1]], parts)
    found = {name: whole(item, parts) for name, item in schema.items() if name not in NOTES}
    if "properties" in schema:  # whose names are no notes
        found["properties"] = {name: whole(item, parts) for name, item in schema["properties"].items()}
    return found


def unknown(said: Schema, known: Schema, at: str) -> Iterator[str]:
    """Yield what of all that may be said whoever knows ``known`` would refuse, each with its place."""
    if "anyOf" in said:
        for one in said["anyOf"]:
            yield from unknown(one, known, at)
    elif "anyOf" in known:
        yield from unknown_to_all(said, known["anyOf"], at)
    elif "properties" in known and "properties" in said:
        yield from unknown_members(said, known, at)
    elif "enum" in known and "enum" in said:
        yield from (f"{at}: {value} is not known" for value in said["enum"] if value not in known["enum"])
    elif said.keys() == known.keys():
        for key, value in said.items():
            ones, others = parts(value), parts(known[key])
            if len(ones) != len(others) or (not ones and value != known[key]):
                yield f"{at}: {key} is {value}, not {known[key]}"
            for one, other in zip(ones, others, strict=False):
                yield from unknown(one, other, at)
    else:
        yield f"{at}: {said} is not {known}"


def unknown_to_all(said: Schema, choice: list[Schema], at: str) -> Iterator[str]:
    """Yield what is wrong if none of a choice fits: with the message of the same tag, or as a whole."""
    found = [list(unknown(said, one, at)) for one in choice]
    if all(found):
        same = [wrong for wrong, one in zip(found, choice, strict=True) if tag(one) == tag(said) is not None]
        yield from same[0] if same else [f"{at}: {tag(said) or said} is not known"]


def unknown_members(said: Schema, known: Schema, at: str) -> Iterator[str]:
    """Yield what is wrong with the members of an object."""
    ones, others = said["properties"], known["properties"]
    yield from (f"{at}/{name}: is not known" for name in sorted(ones.keys() - others.keys()))
    yield from (f"{at}/{name}: is missing" for name in sorted(set(known["required"]) - ones.keys()))
    for name in sorted(ones.keys() & others.keys()):
        yield from unknown(ones[name], others[name], f"{at}/{name}")


def parts(value: Any) -> list[Schema]:
    """Return the schemas that a member of a schema consists of."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def tag(schema: Schema) -> str | None:
    """Return what a message says that it is."""
    return next(iter(schema.get("properties", {}).get("is", {}).get("enum", [])), None)


def test_earlier_workers_know_what_control_says() -> None:
    assert list(unknown(schemas()["to_worker"], json.loads(GOLDEN.read_bytes())["to_worker"], "")) == []


def test_control_knows_what_earlier_workers_say() -> None:
    assert list(unknown(json.loads(GOLDEN.read_bytes())["to_control"], schemas()["to_control"], "")) == []


def message(end: Schema, name: str) -> Schema:
    return next(one for one in end["anyOf"] if tag(one) == name)


def test_what_would_end_a_pipe_is_found() -> None:
    known = schemas()["to_worker"]
    said = copy.deepcopy(known)
    begin, stop = message(said, "begin")["properties"], message(said, "stop")
    begin["rules"]["properties"]["audit"]["properties"]["colour"] = {"type": "string"}
    begin["rules"]["properties"]["relayed"]["items"]["enum"].append("telepathy")
    begin["began"] = {"type": "string"}
    del begin["number"]
    stop["properties"]["is"]["enum"] = ["halt"]
    assert list(unknown(said, known, "")) == [
        "/number: is missing",
        "/began: type is string, not number",
        "/rules/audit/colour: is not known",
        "/rules/relayed: telepathy is not known",
        ": halt is not known",
    ]


@pytest.mark.parametrize("name", ["addresses", "check"])
def test_what_has_a_default_may_be_left_out(name: str) -> None:
    known = schemas()["to_worker"]
    said = copy.deepcopy(known)
    del message(said, "target")["properties"][name]
    assert list(unknown(said, known, "")) == []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schemas(), indent=1, sort_keys=True) + "\n")
