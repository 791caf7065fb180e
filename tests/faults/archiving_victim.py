"""Doorward that is killed with SIGKILL at a step on the way of a recording into a bucket."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path
from typing import Any

from doorward.archiving.bucket import Bucket
from doorward.archiving.sending import TrailSender
from doorward.backup.targets import s3_objects
from doorward.backup.targets.child import ConfinedChild
from doorward.sessions.catalogue.rows import Facts, TrailArchive
from doorward.sessions.trails import Trails
from tests.faults.named_trap import around, step


def _note(_sender: TrailSender, _key: str, facts: Facts) -> str:
    if facts.is_archived is True:
        return "proof"
    return "place" if isinstance(facts.archive, TrailArchive) and facts.archive.is_here else "going"


def _between_parts() -> None:
    """Make a step of the moment at which the second part of an object is begun."""
    call, line = ConfinedChild.call, ConfinedChild._line
    begun = {"parts": 0}

    @functools.wraps(call)
    def called(child: ConfinedChild, doing: str, name: str, *arguments: Any, **options: Any) -> Any:
        begun["parts"] = 0 if name == "write_parts" else 9
        return call(child, doing, name, *arguments, **options)

    @functools.wraps(line)
    def told(child: ConfinedChild) -> Any:
        said = line(child)
        if said is not None and said.get("moved") == 0:
            begun["parts"] += 1
            if begun["parts"] == 2:
                step("between parts")
        return said

    setattr(ConfinedChild, "call", called)  # noqa: B010 - methods of a class
    setattr(ConfinedChild, "_line", told)  # noqa: B010


s3_objects.PART = 5 << 20  # type: ignore[misc] # as little as S3 allows
around(TrailSender, "note", _note)
around(Bucket, "send", lambda *_: "upload")
around(Bucket, "keep", lambda *_: "record")
around(Trails, "delete", lambda *_: "delete")
_between_parts()

runpy.run_path(str(Path(__file__).parents[1] / "support" / "launcher.py"), run_name="__main__")
