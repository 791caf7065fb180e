"""Bodies that have every feature of the model language, for the tests of `doorward.tree`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from doorward.tree.fields import Address, Text
from doorward.tree.models import Body, Elements, Off, Switched, Variants
from doorward.tree.problems import InvalidBody, Problem
from doorward.tree.references import Reference, RefersTo
from doorward.tree.validation import Checked, check

STORE = "/api/configuration/passwords"
PLACES = "/api/configuration/policies/backup_policies"


class Square(Body):
    selection: Literal["square"]
    side: int = Field(ge=1, le=10)


class Circle(Body):
    selection: Literal["circle"]
    radius: float = Field(gt=0, lt=1)
    colour: Literal["red", "blue"] | None = None


class Inner(Body):
    flag: bool = False
    label: Annotated[str, StringConstraints(min_length=2, max_length=4, pattern=r"^[a-z]+$")] = "ab"


class On(Body):
    enabled: Literal[True]
    inner: Inner
    sizes: Annotated[list[int], Elements(most=3, least=1)] = Field(default_factory=lambda: [1])


Shape = Annotated[Square | Circle, Variants("selection")]
Block = Annotated[On | Off, Switched()]


class Everything(Body):
    """One of each."""

    number: int
    text: Text | None = None
    shape: Shape = Field(default_factory=lambda: Square(selection="square", side=1))
    block: Block
    nested: Inner = Field(default_factory=Inner)
    servers: Annotated[list[Address], Elements(most=3, unique=lambda entry: str(entry.value))] = Field(default_factory=list)
    owner: Annotated[Reference[Any], RefersTo(STORE, form="hash")] | None = None
    others: Annotated[list[Annotated[Reference[Any], RefersTo(PLACES)]], Elements(most=9)] = Field(default_factory=list)
    plain: Annotated[Reference[Any], RefersTo(PLACES, plain=True)] | None = None
    by_name: dict[str, Inner] = Field(default_factory=dict)


EVERYTHING: TypeAdapter[Any] = TypeAdapter(Everything)
LEAST: dict[str, Any] = {"number": 1, "block": {"enabled": False}}


def checked(value: Any, adapter: TypeAdapter[Any] = EVERYTHING, *, strict: bool = False) -> Checked:
    return check(adapter, value, strict=strict)


def problems(value: Any, adapter: TypeAdapter[Any] = EVERYTHING, *, strict: bool = False) -> list[tuple[str, str]]:
    """Code and pointer of every problem, in order; [] where there is none."""
    try:
        check(adapter, value, strict=strict)
    except InvalidBody as refused:
        return [(problem.code, problem.pointer) for problem in refused.problems]
    return []


def warned(value: Any, adapter: TypeAdapter[Any] = EVERYTHING, *, strict: bool = False) -> list[tuple[str, str]]:
    return [(problem.code, problem.pointer) for problem in check(adapter, value, strict=strict).warnings]


def one_problem(value: Any) -> Problem:
    try:
        check(EVERYTHING, value)
    except InvalidBody as refused:
        [problem] = refused.problems
        return problem
    raise AssertionError("the body was accepted")
