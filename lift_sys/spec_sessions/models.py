"""The domain's values: a session and the items it is made of. No I/O.

Items never change: what is stored can be shared with every reader (G2), and history can only grow
(G5). A session itself is an ordinary, changeable object.
"""

import copy
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, PrivateAttr, WithJsonSchema

from lift_sys.backends.call import WriteKey
from lift_sys.backends.instants import Instant, now
from lift_sys.backends.json_values import EMPTY_ARRAY, EMPTY_OBJECT, JsonArray, JsonObject, thaw
from lift_sys.ir.models import IntermediateRepresentation
from lift_sys.spec_sessions.history import History

Status = Literal["active", "finalized", "abandoned"]
Source = Literal["prompt", "code"]
RevisionType = Literal["initial", "hole_fill", "constraint_add", "manual_edit"]
ValidationStatus = Literal["pending", "valid", "contradictory", "incomplete"]
ResolutionType = Literal["clarify_intent", "add_constraint", "refine_signature", "specify_effect"]

NO_INPUT: Final = "(no input provided)"
"""The original input of a session that has no revision."""
PREVIEW_LENGTH: Final = 120
"""How many characters of the original input a list shows."""
MAX_NAME_LENGTH: Final = 255
"""How many characters a session id, a user id or an idempotency key may have."""
MAX_COUNT: Final = 2**31 - 1
"""The greatest number a version or a position may have: Postgres keeps them as ``integer``."""


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self

    def model_copy(
        self,
        *,
        update: Mapping[str, Any] | None = None,
        deep: bool = False,  # noqa: ARG002  # nothing to copy
    ) -> Self:
        """Return an item with the fields in `update` replaced, checked like any input.

        Raises:
            pydantic.ValidationError: a field in `update` is unknown or of the wrong type.
        """
        return type(self)(**{**self.__dict__, **(update or {})})

    def to_dict(self) -> dict[str, Any]:
        """Return the item as plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the item that `data`, made by ``to_dict``, describes.

        Raises:
            pydantic.ValidationError: `data` describes none; names each field.
        """
        return cls.model_validate(data)


class PromptRevision(_Item):
    """One input of the user."""

    timestamp: Instant
    content: str
    revision_type: RevisionType
    target_hole: str | None = None
    metadata: JsonObject = Field(default_factory=lambda: EMPTY_OBJECT)


class IRDraft(_Item):
    """One snapshot of the intermediate representation, with its validation status."""

    version: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    ir: IntermediateRepresentation
    validation_status: ValidationStatus = "pending"
    smt_results: JsonArray = Field(default_factory=lambda: EMPTY_ARRAY)
    ambiguities: JsonArray = Field(default_factory=lambda: EMPTY_ARRAY)
    created_at: Instant = Field(default_factory=now)
    metadata: JsonObject = Field(default_factory=lambda: EMPTY_OBJECT)

    def get_unresolved_holes(self) -> list[str]:
        """Return the identifiers of the holes in this draft, in the order they stand in it."""
        return [hole.identifier for hole in self.ir.typed_holes()]


class HoleResolution(_Item):
    """The user's answer to a hole. Of what is stored, only `applied` may change, once, to true."""

    hole_id: str
    resolution_text: str
    resolution_type: ResolutionType
    applied: bool = False
    timestamp: Instant = Field(default_factory=now)
    metadata: JsonObject = Field(default_factory=lambda: EMPTY_OBJECT)

    def as_applied(self) -> "HoleResolution":
        """Return the same resolution, applied."""
        return self.model_copy(update={"applied": True})


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items of each kind a session has."""

    revisions: int
    drafts: int
    resolutions: int

    def each(self) -> tuple[int, int, int]:
        """Return the counts of revisions, drafts and resolutions."""
        return self.revisions, self.drafts, self.resolutions


@dataclass(frozen=True, slots=True)
class KeyedWrite:
    """The last update that was made with an idempotency key.

    Attributes:
        write: its key and fingerprint.
        at_rest: the fingerprint that the same object has once it is stored and not changed since.
    """

    write: WriteKey
    at_rest: str


@dataclass(frozen=True, slots=True)
class StoredMark:
    """What a store is known to hold of a session: the base of its next update.

    Attributes:
        origin: names the data and the user it was read from or written to.
        session_id: the id it is stored under.
        version: the stored version.
        created_at: tells a session from a later one that reuses its id.
        counts: how many items of each kind are stored.
        revisions: the list whose front is stored, and likewise `drafts` and `resolutions`.
        keyed: the write that made this version, where it had a key.
    """

    origin: str
    session_id: str
    version: int
    created_at: datetime
    counts: Counts
    revisions: History[PromptRevision]
    drafts: History[IRDraft]
    resolutions: History[HoleResolution]
    keyed: KeyedWrite | None

    def of_copy(self, session: "PromptSession", twin: "PromptSession") -> "StoredMark":
        """Return the mark for `twin`, a copy of `session`, with the lists of its own."""
        return replace(
            self,
            revisions=(
                twin.revisions if self.revisions is session.revisions else copy.copy(self.revisions)
            ),
            drafts=twin.ir_drafts if self.drafts is session.ir_drafts else copy.copy(self.drafts),
            resolutions=(
                twin.pending_resolutions
                if self.resolutions is session.pending_resolutions
                else copy.copy(self.resolutions)
            ),
        )


def _changeable_object(value: Any) -> Any:
    if isinstance(value, Mapping):
        return thaw(dict(value))
    raise ValueError("must be a JSON object (a dict)")


# Any content is taken here: the store judges what of it can be kept, and names the field (G13).
_Metadata = Annotated[
    dict[str, Any], PlainValidator(_changeable_object), WithJsonSchema({"type": "object"})
]


class PromptSession(BaseModel):
    """One refinement, from the first input to ``finalized`` or ``abandoned``.

    Attributes:
        session_id: chosen by the caller or a new UUID; unique for its user; up to 255 characters.
        status: ``active``, ``finalized`` or ``abandoned``.
        source: what it started from, ``prompt`` or ``code``.
        revisions: the user's inputs, oldest first.
        ir_drafts: the snapshots of the IR, oldest first.
        pending_resolutions: the answers to holes, oldest first, the applied ones among them.
        metadata: a JSON object of the caller's.
        version: how many writes of this session were committed; 0 before the first.
        created_at: when it was made.
        updated_at: when it was last changed, by the clock of whoever changed it.
        finalized_at: when it became final.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    # Only said here: it is for the store to refuse another (G13).
    session_id: str = Field(
        default_factory=lambda: str(uuid.uuid4()),
        json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_LENGTH},
    )
    status: Status = "active"
    source: Source = "prompt"
    revisions: History[PromptRevision] = Field(default_factory=History)
    ir_drafts: History[IRDraft] = Field(default_factory=History)
    pending_resolutions: History[HoleResolution] = Field(default_factory=History)
    metadata: _Metadata = Field(default_factory=dict)
    version: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    created_at: Instant = Field(default_factory=now)
    updated_at: Instant = Field(default_factory=lambda data: data.get("created_at") or now())
    finalized_at: Instant | None = None

    _stored: StoredMark | None = PrivateAttr(default=None)

    @classmethod
    def create_new(
        cls,
        source: Source = "prompt",
        original_input: str | None = None,
        initial_draft: IRDraft | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Self:
        """Return a new active session with a new id, not yet stored.

        Args:
            source: what it starts from.
            original_input: becomes the first revision, of type ``initial``.
            initial_draft: becomes the first draft.
            metadata: a JSON object.

        Raises:
            pydantic.ValidationError: an argument is of the wrong type.
        """
        session = cls(source=source, metadata=metadata or {})
        started = session.created_at
        if original_input is not None:
            session.revisions.append(
                PromptRevision(timestamp=started, content=original_input, revision_type="initial")
            )
        if initial_draft is not None:
            session.ir_drafts.append(initial_draft)
        return session

    @property
    def original_input(self) -> str:
        """The content of the first revision, or a placeholder where there is none."""
        return self.revisions[0].content if self.revisions else NO_INPUT

    @property
    def current_draft(self) -> IRDraft | None:
        """The latest draft, or None."""
        return self.ir_drafts[-1] if self.ir_drafts else None

    def add_revision(self, revision: PromptRevision) -> None:
        """Append `revision`."""
        self.revisions.append(revision)
        self._touch()

    def add_draft(self, draft: IRDraft) -> None:
        """Append `draft`, which becomes the current one."""
        self.ir_drafts.append(draft)
        self._touch()

    def add_resolution(self, resolution: HoleResolution) -> None:
        """Append `resolution`, also where the same hole has one already."""
        self.pending_resolutions.append(resolution)
        self._touch()

    def mark_resolution_applied(self, hole_id: str) -> bool:
        """Mark the oldest resolution of that hole that is not applied yet.

        Returns:
            Whether there was one.
        """
        for index, resolution in enumerate(self.pending_resolutions):
            if resolution.hole_id == hole_id and not resolution.applied:
                self.mark_applied_at(index)
                return True
        return False

    def mark_applied_at(self, index: int) -> None:
        """Mark the resolution at `index` (from 0) of ``pending_resolutions`` as applied.

        Raises:
            IndexError: there is none.
        """
        self.pending_resolutions[index] = self.pending_resolutions[index].as_applied()
        self._touch()

    def finalize(self) -> None:
        """Make the session final. Nothing happens where it is already."""
        if self.status != "finalized":
            self.status = "finalized"
            self._touch()
            self.finalized_at = self.updated_at

    def abandon(self) -> None:
        """Give the session up. Nothing happens where it is already."""
        if self.status != "abandoned":
            self.status = "abandoned"
            self.finalized_at = None
            self._touch()

    def get_unresolved_holes(self) -> list[str]:
        """Return the identifiers of the holes in the current draft, in the order they stand."""
        return self.current_draft.get_unresolved_holes() if self.current_draft else []

    def to_dict(self) -> dict[str, Any]:
        """Return the session as plain JSON values, ``version`` included."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the session that `data`, made by ``to_dict``, describes.

        A ``current_draft`` in it is left aside: it is the last of ``ir_drafts``.

        Raises:
            pydantic.ValidationError: `data` describes none; names each field.
        """
        return cls.model_validate({k: v for k, v in data.items() if k != "current_draft"})

    def counts(self) -> Counts:
        """Return how many items of each kind the session has."""
        return Counts(len(self.revisions), len(self.ir_drafts), len(self.pending_resolutions))

    def __eq__(self, other: object) -> bool:
        """Compare what the sessions hold; what a store knows of them does not count."""
        if not isinstance(other, PromptSession):
            return NotImplemented
        return self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __copy__(self) -> Self:
        """Copy the lists too: what one session adds or stores is not the other's."""
        twin = super().__copy__()
        for name in ("revisions", "ir_drafts", "pending_resolutions"):
            twin.__dict__[name] = copy.copy(self.__dict__[name])
        if self._stored is not None:
            twin._stored = self._stored.of_copy(self, twin)
        return twin

    def _touch(self) -> None:
        self._replace("updated_at", now())

    def _replace(self, field: str, value: Any) -> None:
        """Set a field to what surely is valid, which spares half of an append's checks."""
        self.__dict__[field] = value
        self.__pydantic_fields_set__.add(field)

    @classmethod
    def _from_stored(cls, origin: str, stored: "Snapshot") -> Self:
        """Return the session that a store answered with.

        It was validated when it was stored or decoded, so it is put together without another
        pass; the lists in `stored` must be the caller's own.
        """
        session = cls.__new__(cls)
        values = {
            "session_id": stored.session_id,
            "status": stored.status,
            "source": stored.source,
            "revisions": History(stored.revisions),
            "ir_drafts": History(stored.ir_drafts),
            "pending_resolutions": History(stored.pending_resolutions),
            "metadata": thaw(stored.metadata),
            "version": stored.version,
            "created_at": stored.created_at,
            "updated_at": stored.updated_at,
            "finalized_at": stored.finalized_at,
        }
        object.__setattr__(session, "__dict__", values)
        object.__setattr__(session, "__pydantic_fields_set__", set(values))
        object.__setattr__(session, "__pydantic_extra__", None)
        object.__setattr__(session, "__pydantic_private__", {"_stored": None})
        session._mark(origin, stored.version, None)
        return session

    def _settle(self, origin: str, version: int, keyed: KeyedWrite | None = None) -> None:
        """Take note that the store holds all of the session as `version`."""
        for history in (self.revisions, self.ir_drafts, self.pending_resolutions):
            history.settle()
        self._replace("version", version)
        self._mark(origin, version, keyed)

    def _mark(self, origin: str, version: int, keyed: KeyedWrite | None) -> None:
        self._stored = StoredMark(
            origin=origin,
            session_id=self.session_id,
            version=version,
            created_at=self.created_at,
            counts=self.counts(),
            revisions=self.revisions,
            drafts=self.ir_drafts,
            resolutions=self.pending_resolutions,
            keyed=keyed,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stored session, whole, as a backend answers with it."""

    session_id: str
    status: Status
    source: Source
    metadata: JsonObject
    version: int
    created_at: Instant
    updated_at: Instant
    finalized_at: Instant | None
    revisions: list[PromptRevision]
    ir_drafts: list[IRDraft]
    pending_resolutions: list[HoleResolution]


class SessionSummary(BaseModel):
    """What a list tells of a session, without its items.

    Attributes:
        preview: the first 120 characters of the original input.
        revision_count: how many revisions it has, and likewise the other counts.
        hole_count: how many resolutions it has, applied or not.

    The others are the session's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_id: str
    status: Status
    source: Source
    preview: str
    revision_count: int
    draft_count: int
    hole_count: int
    metadata: JsonObject
    version: int
    created_at: Instant
    updated_at: Instant
    finalized_at: Instant | None


class SessionPage(BaseModel):
    """One page of a list.

    Attributes:
        items: the sessions, updated_at descending, then id descending.
        next_cursor: what ``list_page`` takes for the next page; None on the last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: list[SessionSummary]
    next_cursor: str | None = None


def preview_of(revisions: Sequence[PromptRevision]) -> str:
    """Return what a list shows of a session with these revisions."""
    return (revisions[0].content if revisions else NO_INPUT)[:PREVIEW_LENGTH]
