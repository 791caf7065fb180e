"""What is decoded in threads was looked at by msgspec before there are any: it crashes where two threads are the first."""

from __future__ import annotations

import subprocess
import sys

from tests.support.waiting import PATIENCE

PROBE = """
import sys
import msgspec
import doorward.appliance.node
from doorward.backup.records import Drill, Run

def kinds(of):
    for kind in of.__subclasses__():
        if kind.__module__.startswith("doorward."):
            yield kind
        yield from kinds(kind)

looked = []
def watch(frame, event, _argument):
    if event == "call" and frame.f_code.co_name == "get_class_annotations":
        looked.append(kind.__qualname__)

found = [kind for kind in (*kinds(msgspec.Struct), Run, Drill) if not kind.__subclasses__()]
sys.setprofile(watch)
for kind in found:
    msgspec.json.Decoder(kind)
sys.setprofile(None)
print(len(found), *looked)
"""


def test_every_class_that_is_decoded_is_prepared() -> None:
    found, *looked = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout.split()
    assert int(found) > 10
    assert looked == []
