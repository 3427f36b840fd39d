"""What requests carry and what is answered, beside the models of the domain."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from lift_sys.ir.models import IntermediateRepresentation
from lift_sys.spec_sessions.models import ResolutionType, RevisionType, Source, ValidationStatus

MAX_SOURCE: Final = 2**20
"""How many characters of source are lifted at a time."""

_IR: Final = {
    "intent": {"summary": "The area of a rectangle."},
    "signature": {
        "name": "area",
        "parameters": [{"name": "width", "type_hint": "float"}],
        "holes": [{"identifier": "return.type", "kind": "signature"}],
    },
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewSession(_Body):
    """A session to start."""

    source: Source = "prompt"
    original_input: str | None = Field(
        None,
        description="Becomes the first revision.",
        examples=["A function that adds two numbers"],
    )
    ir: IntermediateRepresentation | None = Field(
        None, description="Becomes the first draft.", examples=[_IR]
    )
    metadata: dict[str, Any] = Field(default_factory=dict, examples=[{"ticket": 17}])


class NewRevision(_Body):
    """An input of the user to append."""

    content: str = Field(examples=["It must not overflow"])
    revision_type: RevisionType = "manual_edit"
    target_hole: str | None = Field(None, examples=["return.type"])
    metadata: dict[str, Any] = Field(default_factory=dict)


class NewDraft(_Body):
    """A draft to append. It is numbered by the server."""

    ir: IntermediateRepresentation = Field(examples=[_IR])
    validation_status: ValidationStatus = "pending"
    smt_results: list[Any] = Field(default_factory=list)
    ambiguities: list[Any] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)


class NewResolution(_Body):
    """An answer to a hole to append."""

    hole_id: str = Field(examples=["return.type"])
    resolution_text: str = Field(examples=["int"])
    resolution_type: ResolutionType | None = Field(
        None, description="By the kind of the hole, where it is left out."
    )
    metadata: dict[str, Any] = Field(default_factory=dict)


class Finalization(_Body):
    """How to finalize."""

    force: StrictBool = Field(False, description="Also where holes are open.")


class LiftRequest(_Body):
    """Python source to lift."""

    code: str = Field(max_length=MAX_SOURCE, examples=["def add(a, b):\n    return a + b\n"])
    path: str | None = Field(None, description="Where the source comes from.", examples=["sums.py"])


class Written(BaseModel):
    """What was written: a repetition of the request is answered with the same."""

    session_id: str = Field(examples=["353d381b-22fe-4a60-a827-00e46b9b0dff"])
    version: int = Field(description="The session's version after this write.", examples=[2])


class Lifted(BaseModel):
    """The sessions of the functions in a source."""

    session_ids: list[str] = Field(description="One for each function, in the order of the source.")
    new: int = Field(description="How many of them this request started.", examples=[1])


class Health(BaseModel):
    """Whether the server is well."""

    status: str = Field(examples=["ok"])
