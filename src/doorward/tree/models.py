"""How bodies are modelled: strict frozen models, unions by a member, switches, lists whose elements are all checked.

Union tags begin with a character that no name in JSON text has unless it is escaped, so that ``validation`` can take them out of
the places of errors again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Annotated, Any, Literal, Self, Union, get_args

from msgspec import Struct
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from doorward.tree.destinations import Bound
from doorward.tree.titles import title_of


class Body(Bound):
    """A JSON object of the configuration: strict types, no unknown members, immutable."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        hide_input_in_errors=True,
        defer_build=True,
        field_title_generator=lambda name, _: title_of(name),
    )


class Public(BaseModel):
    """The public half of a secret, as it is kept; made here, never sent. Later releases may know more members."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", defer_build=True)


class Interrelated(Body):
    """A body whose members depend on each other; says so together with what is wrong with each of them."""

    @classmethod
    def conflicts(cls, _sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Yield what does not go together. Every member of what was sent may be missing or of any type."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _members_and_conflicts(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        errors = list(cls.conflicts(value)) if isinstance(value, dict) else []
        try:
            model = handler(value)
            if not errors:
                return model
        except ValidationError as error:
            errors = [*raised_again(error), *errors]
        raise ValidationError.from_exception_data(cls.__name__, errors, hide_input=True)


def extension(default: Any, **declared: Any) -> Any:
    """Declare a member that the bodies of SPS do not have, as ``Field`` does.

    It is stored and shown only where it differs from its default, so that a body without it is what the original shows, its
    ETag included; left out on a write it means the default. A model always has it.
    """
    marked: dict[str, Any] = {"x-doorward-extension": True}
    if isinstance(default, list):  # pydantic copies a list given as the default through `copy.deepcopy`, at every write
        declared |= {"default_factory": partial(list, default)}
        marked["default"] = default
    else:
        declared["default"] = default
    return Field(exclude_if=lambda value: value == default, json_schema_extra=marked, **declared)


def wrong(code: str, message: str, *at: str | int) -> InitErrorDetails:
    """Return an error at a place inside a value; the code becomes that of the problem."""
    return InitErrorDetails(type=PydanticCustomError(code, message), loc=at, input=None)


def tag_of(name: str) -> str:
    """Return the tag of a variant."""
    return f"\0<{name}>"


def is_tag(part: str | int) -> bool:
    """Whether a part of a pydantic place is the tag of a variant."""
    return isinstance(part, str) and part.startswith("\0<")


ON, OFF = tag_of("on"), tag_of("off")
"""The tags of a block that is on, and of one that is off and hides its members."""


class Variants(Struct, frozen=True):
    """Annotation of a union of bodies whose member ``by`` ("selection" or "type") names the variant.

    ``Address = Annotated[FqdnAddress | IpAddress, Variants("selection")]``. Each variant declares that member as a ``Literal``
    with one value.
    """

    by: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        tags = {_literal(variant, self.by): tag_of(f"{self.by}={_literal(variant, self.by)}") for variant in get_args(source)}

        def tag(value: object) -> str | None:
            name = value.get(self.by) if isinstance(value, dict) else getattr(value, self.by, None)
            return tags.get(name) if isinstance(name, str) else None

        names = sorted(tags)
        allowed = " or ".join((", ".join(names[:-1]), names[-1]) if names[1:] else names)
        members = {variant: tags[_literal(variant, self.by)] for variant in get_args(source)}
        return handler.generate_schema(_tagged_union(members, tag, {"by": self.by, "allowed": allowed}))


class Switched(Struct, frozen=True):
    """Annotation of ``Block | Off``: ``{"enabled": true, ...}`` as the block declares it, or ``{"enabled": false}``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def tag(value: object) -> str | None:
            enabled = value.get("enabled") if isinstance(value, dict) else getattr(value, "enabled", None)
            return {True: ON, False: OFF}[enabled] if isinstance(enabled, bool) else None

        members = {variant: OFF if variant is Off else ON for variant in get_args(source)}
        return handler.generate_schema(_tagged_union(members, tag, {"by": "enabled", "allowed": ""}))


def _tagged_union(tags: dict[Any, str], tag: Callable[[object], str | None], context: dict[str, Any]) -> Any:
    members = tuple(Annotated[variant, Tag(name)] for variant, name in tags.items())
    return Annotated[Union.__getitem__(members), Discriminator(tag, "variant", "variant", context)]


def _literal(variant: type[Body], by: str) -> str:
    return str(variant.model_fields[by].annotation.__args__[0])  # type: ignore[union-attr]


class Off(Body):
    """A switch that is off shows nothing else."""

    enabled: Literal[False] = Field(description="Switched off; the other members are not shown.")


class Derived(Struct, frozen=True):
    """Annotation of a member that follows from others: shown on read; on write accepted whatever it holds, and ignored.

    What does not fit is read as ``default``; the ``make`` of the node fills in what is true.
    """

    default: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"readOnly": True}

    def _read(self, value: Any, inner: Callable[[Any], Any]) -> Any:
        try:
            return inner(value)
        except ValidationError:
            return self.default

    def __hash__(self) -> int:
        return hash(Derived)


class Elements(Struct, frozen=True):
    """Annotation of a list: its largest length, and what must differ between elements.

    Unlike pydantic's own constraints it reports a bad length, bad elements and duplicates together. ``unique`` maps a
    validated element to what may occur once only; the later element gets the code ``duplicate``.
    """

    most: int = 1000
    least: int = 0
    unique: Callable[[Any], Hashable] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        limits = {"minItems": self.least, "maxItems": self.most}
        return handler(schema) | limits | ({"uniqueItems": True} if self.unique else {})

    def _validate(self, value: Any, inner: Callable[[Any], list[Any]]) -> list[Any]:
        errors: list[InitErrorDetails] = []
        good: list[tuple[int, Any]] = []
        result: list[Any] = []
        try:
            result = inner(value)
            good = list(enumerate(result))
        except ValidationError as error:
            errors.extend(raised_again(error))
            if isinstance(value, list):
                bad = {line["loc"][0] for line in errors if line["loc"]}
                good = [(index, inner([value[index]])[0]) for index in range(len(value)) if index not in bad]
        if isinstance(value, list):
            errors.extend(self._length(value))
            errors.extend(self._duplicates(good))
        if errors:
            raise ValidationError.from_exception_data("list", errors, hide_input=True)
        return result

    def _length(self, value: list[Any]) -> list[InitErrorDetails]:
        if self.least <= len(value) <= self.most:
            return []
        wanted = f"At most {self.most} elements." if len(value) > self.most else f"At least {self.least} elements."
        return [InitErrorDetails(type=PydanticCustomError("length", wanted), loc=(), input=None)]

    def _duplicates(self, good: list[tuple[int, Any]]) -> list[InitErrorDetails]:
        if self.unique is None:
            return []
        first: dict[Hashable, int] = {}
        errors = []
        for index, element in good:
            earlier = first.setdefault(self.unique(element), index)
            if earlier != index:
                kind = PydanticCustomError("duplicate", "Equals element {earlier}.", {"earlier": earlier})
                errors.append(InitErrorDetails(type=kind, loc=(index,), input=None))
        return errors


def raised_again(error: ValidationError) -> list[InitErrorDetails]:
    """Return the lines of an error in the form in which they can be raised again."""
    lines = []
    for line in error.errors(include_url=False):
        kind = PydanticCustomError("kept", "kept", {"line": line})
        lines.append(InitErrorDetails(type=kind, loc=line["loc"], input=None))
    return lines
