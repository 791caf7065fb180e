"""What can be wrong with a request, said in one shape: code, sentence, place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One problem or warning.

    ``code`` is a word of the contract (protocol, section 10), ``message`` one English sentence for people,
    ``pointer`` the RFC 6901 place in the written body ("" is all of it), ``path`` the resource, "" where the request names it.
    """

    code: str
    message: str
    pointer: str = ""
    path: str = ""


def as_json(problems: Iterable[Problem], path: str = "") -> list[dict[str, str]]:
    """Return problems as they are shown and stored; ``path`` is the resource of those that name none."""
    return [{"code": p.code, "message": p.message, "path": p.path or path, "pointer": p.pointer} for p in problems]


class InvalidBody(Exception):
    """The body alone is wrong: not JSON, or the wrong type or shape. Carries every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("; ".join(f"{p.pointer or '/'}: {p.message}" for p in self.problems))


class SemanticError(Exception):
    """The body is well formed, but cannot be accepted in this configuration. Carries every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("; ".join(f"{p.path}{p.pointer}: {p.message}" for p in self.problems))


def pointer(parts: Iterable[str | int]) -> str:
    """Return the RFC 6901 pointer of a path of member names and array indices."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
