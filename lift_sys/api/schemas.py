"""What requests carry and what is answered, beside the models of the domain."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from lift_sys.ir.models import IntermediateRepresentation
from lift_sys.spec_sessions.models import (
    HoleResolution,
    IRDraft,
    PromptSession,
    ResolutionType,
    RevisionType,
    Source,
    Status,
    ValidationStatus,
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewSession(_Body):
    """A session to start."""

    source: Source = "prompt"
    original_input: str | None = Field(None, examples=["A function that adds two numbers"])
    ir: IntermediateRepresentation | None = Field(None, description="Becomes the first draft.")
    metadata: dict[str, Any] = Field(default_factory=dict, examples=[{"ticket": 17}])


class NewRevision(_Body):
    """An input of the user to append."""

    content: str = Field(examples=["It must not overflow"])
    revision_type: RevisionType = "manual_edit"
    target_hole: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class NewDraft(_Body):
    """A draft to append. It is numbered by the server."""

    ir: IntermediateRepresentation
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

    force: bool = Field(False, description="Also where holes are open.")


class LiftRequest(_Body):
    """Python source to lift."""

    code: str = Field(examples=["def add(a, b):\n    return a + b\n"])
    path: str | None = Field(None, description="Where the source comes from.")


class SessionState(BaseModel):
    """Where a session is, without its history."""

    session_id: str
    status: Status
    version: int
    revision_count: int
    draft_count: int
    hole_count: int
    unresolved_holes: list[str]

    @classmethod
    def of(cls, session: PromptSession) -> Self:
        """Return the state of `session`."""
        counts = session.counts()
        return cls(
            session_id=session.session_id,
            status=session.status,
            version=session.version,
            revision_count=counts.revisions,
            draft_count=counts.drafts,
            hole_count=counts.resolutions,
            unresolved_holes=session.get_unresolved_holes(),
        )


class Processed(BaseModel):
    """What came of applying the pending resolutions."""

    session: SessionState
    draft: IRDraft | None = Field(description="The new draft; null where nothing was applied.")
    applied: list[HoleResolution]
    unknown: list[HoleResolution] = Field(description="They name no hole; they stay pending.")


class Lifted(BaseModel):
    """The sessions of the functions in a source."""

    session_ids: list[str] = Field(description="One for each function, in the order of the source.")
    new: int = Field(description="How many of them are new.")


class Health(BaseModel):
    """Whether the server is well."""

    status: str
