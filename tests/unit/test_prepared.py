"""What is decoded in threads was looked at by msgspec before there are any: it crashes where two threads are the first."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import PATIENCE

SOURCES = Path(__file__).resolve().parents[2] / "src" / "doorward"
DECODING = frozenset({"Decoder", "Log", "Records", "_as", "convert", "decode", "decoded"})
"""What is given classes to decode to."""

PROBE = """
import sys
import msgspec
import doorward.appliance.node

def kinds(of):
    for kind in of.__subclasses__():
        if kind.__module__.startswith("doorward."):
            yield kind
        yield from kinds(kind)

looks = []
def watch(frame, event, _argument):
    if event == "call" and frame.f_code.co_name == "get_class_annotations":
        looks.append(frame)

given = set(sys.stdin.read().split())
found, looked = 0, []
for kind in kinds(msgspec.Struct):
    if kind.__name__ not in given or kind.__subclasses__():
        continue
    looks.clear()
    sys.setprofile(watch)
    try:
        msgspec.json.Decoder(kind)
    except (NameError, TypeError):  # nothing can be decoded to it
        continue
    finally:
        sys.setprofile(None)
    found += 1
    looked += [kind.__qualname__] * bool(looks)
print(found, *looked)
"""


def test_every_class_that_is_decoded_is_prepared() -> None:
    found, *looked = subprocess.run(
        [sys.executable, "-c", PROBE], input=" ".join(given()), capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout.split()
    assert int(found) > 10
    assert not looked, " ".join(looked)


def given() -> Iterator[str]:
    """The names of what something is decoded to."""
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and not DECODING.isdisjoint(named(node.func)):
                for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                    yield from named(value)
            elif isinstance(node, ast.ClassDef):
                for base in node.bases:
                    yield from named(base) if not DECODING.isdisjoint(named(base)) else ()


def named(value: ast.AST) -> Iterator[str]:
    match value:
        case ast.Name(name) | ast.Attribute(attr=name):
            yield name
        case ast.Subscript() | ast.BinOp() | ast.Tuple() | ast.List():
            for inner in ast.iter_child_nodes(value):
                yield from named(inner)
        case _:
            pass  # a literal, a call
