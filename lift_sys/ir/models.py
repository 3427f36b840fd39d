"""The intermediate representation: what a piece of code shall do, with typed holes.

Every model here is an immutable value, safe to share between threads, stores and callers. A
document keeps the members this release does not know, at every level, so that passing through an
older release loses nothing. Text and numbers are taken as they are: whether a store can keep
them is for the store to say.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict

from lift_sys.backends.json_values import (
    EMPTY_ARRAY,
    EMPTY_OBJECT,
    FrozenDict,
    JsonArray,
    JsonObject,
    JsonValue,
    thaw,
)

HoleKind = Literal["intent", "signature", "effect", "assertion", "implementation"]
"""The part of a specification in which something is unknown."""

ParameterKind = Literal[
    "positional_only", "positional_or_keyword", "var_positional", "keyword_only", "var_keyword"
]
"""How an argument reaches a parameter, named as in ``inspect.Parameter.kind``."""


class _Value(BaseModel):
    """An immutable JSON object that keeps the members it does not know."""

    # NaN written as null would reach a store as a value it cannot know to refuse.
    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="constants")
    __pydantic_extra__: dict[str, JsonValue]

    @property
    def model_extra(self) -> dict[str, Any]:
        """The members this release does not know, frozen, in the document's order."""
        return FrozenDict(self.__pydantic_extra__)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as new ``dict`` and ``list`` objects, which the caller may change.

        Fields come in their declared order, defaults included, then the unknown members. A
        free-form value that is not JSON stays as it is, for ``check_json`` to find.
        """
        # model_dump would do, but it turns dates, bytes and tuples into JSON without a word.
        document = {name: _plain(value) for name, value in self.__dict__.items()}
        for name, value in self.__pydantic_extra__.items():
            document[name] = thaw(value)
        return document

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return this value with the members in `update` replaced, checked like any input.

        Args:
            update: new members by name; unknown ones are kept as such.
            deep: without effect, as nothing in a value can change.

        Raises:
            pydantic.ValidationError: a new member has the wrong type.
        """
        del deep
        if not update:
            return self
        members = {**self.__dict__, **self.__pydantic_extra__, **update}
        return type(self).model_validate(members)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object = None) -> Self:
        return self

    def __hash__(self) -> int:
        # Free-form JSON takes no part: it has no hash, and equal values still hash alike.
        return hash(tuple(v for v in self.__dict__.values() if not isinstance(v, dict | list)))


def _plain(value: Any) -> Any:
    if isinstance(value, _Value):
        return value.to_dict()
    if type(value) is tuple:
        return [member.to_dict() for member in value]
    return thaw(value)


class TypedHole(_Value):
    """Something a specification leaves open, to be filled by a resolution.

    Attributes:
        identifier: names the hole within its representation, such as ``limit.type``.
        kind: the part of the specification that is open.
        type_hint: what an answer has to be.
        description: what is asked, for a person.
        constraints: what is known of the answer: a JSON object from a name to a value, such as
            ``{"default": "None"}``, or a JSON array.
    """

    identifier: str
    kind: HoleKind = "intent"
    type_hint: str = "Any"
    description: str = ""
    constraints: Annotated[JsonObject | JsonArray, Field(union_mode="left_to_right")] = Field(
        # A plain default of this type would be copied, and a copy may be changed.
        default_factory=lambda: EMPTY_OBJECT
    )


class Intent(_Value):
    """What the code is for: a summary, why it is so, and the holes in that."""

    summary: str = ""
    rationale: str | None = None
    holes: tuple[TypedHole, ...] = ()


class Parameter(_Value):
    """One parameter. `type_hint` and `default` are source text; None where there is none."""

    name: str = ""
    type_hint: str | None = None
    description: str | None = None
    default: str | None = None
    kind: ParameterKind = "positional_or_keyword"


class Signature(_Value):
    """How the code is called. `parameters` run in their order, `returns` is source text."""

    name: str = ""
    parameters: tuple[Parameter, ...] = ()
    returns: str | None = None
    holes: tuple[TypedHole, ...] = ()


class Effect(_Value):
    """Something the code does besides returning, such as raising."""

    description: str = ""
    holes: tuple[TypedHole, ...] = ()


class Assertion(_Value):
    """Something that must hold, as a predicate in the language of the code, and why."""

    predicate: str = ""
    rationale: str | None = None
    holes: tuple[TypedHole, ...] = ()


class Provenance(_Value):
    """Where a representation comes from.

    Attributes:
        source_path: the file, as it was given.
        language: the language of the code, such as ``python``.
        origin: how the representation came to be, such as ``lift``.
        line: the line of the definition, from 1.
        qualified_name: as in ``__qualname__``: ``Class.method``, ``outer.<locals>.inner``.
        evidence: a JSON array of what supports the representation, in any form.
    """

    source_path: str | None = None
    language: str | None = None
    origin: str | None = None
    # Strict: "7" and 7.0 would become 7, and a round trip would change them.
    line: Annotated[int, Strict()] | None = None
    qualified_name: str | None = None
    evidence: JsonArray = Field(default_factory=lambda: EMPTY_ARRAY)


class IntermediateRepresentation(_Value):
    """A specification with typed holes, as one immutable JSON document.

    Attributes:
        intent: what the code is for.
        signature: how it is called.
        effects: what it does besides returning, in order.
        assertions: what must hold, in order.
        holes: the holes in the implementation; the others stand in the part they belong to.
        metadata: where all this comes from.
    """

    intent: Intent = Intent()
    signature: Signature = Signature()
    effects: tuple[Effect, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    holes: tuple[TypedHole, ...] = ()
    metadata: Provenance = Provenance()

    def typed_holes(self) -> list[TypedHole]:
        """Return every hole: of intent, signature, effects, assertions, then implementation.

        Within a part they keep the order in which they stand there.
        """
        return [
            *self.intent.holes,
            *self.signature.holes,
            *(hole for effect in self.effects for hole in effect.holes),
            *(hole for assertion in self.assertions for hole in assertion.holes),
            *self.holes,
        ]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return the representation that `document` states; nothing in it is shared.

        Raises:
            pydantic.ValidationError: a member has the wrong type, or a hole no identifier.
        """
        return cls.model_validate(dict(document))

    def to_json(self) -> str:
        """Return the document as compact JSON text, members in the order of ``to_dict``.

        Raises:
            pydantic_core.PydanticSerializationError: a text holds a lone surrogate, which JSON
                in UTF-8 cannot carry.
        """
        return self.model_dump_json()

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """Return the representation that the JSON text `document` states.

        Raises:
            pydantic.ValidationError: it is not JSON, no object, a member has the wrong type, or
                a hole has no identifier.
        """
        return cls.model_validate_json(document)
