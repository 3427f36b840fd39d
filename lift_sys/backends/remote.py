"""What the networked backends share: the text of a call, refusals, and trying again.

A write goes out with a key, the caller's or one made here, and the database does what has a key
only once (G8). So every write may be sent again when its answer is lost.
"""

import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import (
    Any,
    Final,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ValidationError
from pydantic_core import to_json
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from lift_sys.backends.call import Call, Encoded, WriteKey
from lift_sys.backends.errors import (
    OutcomeUnknownError,
    PermissionDeniedError,
    SchemaOutdatedError,
    SessionStoreError,
    StoreClosedError,
    StoreUnavailableError,
)

T = TypeVar("T")

BUDGET: Final = 30.0
"""For how many seconds a call goes on trying before it gives up (G14)."""
ATTEMPT: Final = 10.0
"""How many seconds one attempt may take."""

CLOSED: Final = "the store was closed; open a new one"

SHORTEST: Final = 0.05
"""How many seconds an attempt has in any case."""

Refusal: TypeAlias = Callable[[Mapping[str, Any]], SessionStoreError]
"""Makes the error for what a database function refused, from the detail it gave."""


@dataclass(frozen=True)
class Functions:
    """How a domain's calls are functions of a database.

    Attributes:
        suffix: what follows the name of a call in the name of its function, such as ``_v1``.
        refusals: by the word with which a function refuses; see ``Refusal``.
        remedy: what to do where a function is missing.
    """

    suffix: str
    refusals: Mapping[str, Refusal]
    remedy: str


class Unanswered(Exception):  # noqa: N818  # not an error yet: it is tried again
    """An attempt failed in a way that another attempt may not.

    Attributes:
        may_have_happened: whether the server may have done what it was asked.
        pause: how many seconds the server asks to wait; 0 where it does not say.
    """

    def __init__(self, reason: str, *, may_have_happened: bool, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.may_have_happened = may_have_happened
        self.pause = pause


def arguments_json(call: Call[Any]) -> bytes:
    """Return the arguments of `call` as JSON text."""
    return _encode(call.arguments)


def key_json(call: Call[Any]) -> bytes:
    """Return the key of a write as JSON text: the caller's, else a new one.

    New ones begin with the time, so that an index gets them at its end and not all over it.
    """
    if call.key is not None:
        return _encode(call.key)
    # No secret, and the system's random numbers would let other threads in.
    chance = random.getrandbits(80)
    return _encode(WriteKey(f"retry-{time.time_ns():x}-{chance:020x}", ""))


def decoded(call: Call[T], answer: bytes) -> T:
    """Return what the JSON text `answer` says.

    Raises:
        Unanswered: it is no JSON: something in between spoiled it.
        SchemaOutdatedError: it is JSON of another shape.
    """
    try:
        return call.decode(answer)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise Unanswered("the answer is no JSON", may_have_happened=True) from error
        raise SchemaOutdatedError(
            f"the answer to {call.name} is not understood; the database has another release"
        ) from error


def persist(attempt: Callable[[float], T], call: Call[T], budget: float) -> T:
    """Make attempts until one is answered or the budget is spent.

    Args:
        attempt: makes one attempt, always with the same key, within so many seconds.
        call: what is attempted.
        budget: for how many seconds to go on.

    Raises:
        StoreUnavailableError: no attempt was answered, and none can have been carried out.
        OutcomeUnknownError: a write was not answered, and may have been carried out.
        SessionStoreError: what an attempt was answered with.
    """
    started = time.monotonic()
    try:
        return attempt(_attempt_seconds(budget))  # most calls end here
    except Unanswered as failure:
        first = failure
    progress = _Progress(call, started, budget, first)

    def again() -> T:
        if not progress.begin():
            raise first
        try:
            return attempt(_attempt_seconds(progress.left()))
        except Unanswered as failure:
            progress.note(failure)
            raise

    try:
        return Retrying(**_POLICY, stop=progress.stop())(again)
    except (Unanswered, SessionStoreError) as last:
        raise progress.verdict(last) from last.__cause__


async def persist_async(
    attempt: Callable[[float], Awaitable[T]], call: Call[T], budget: float
) -> T:
    """Make attempts until one is answered or the budget is spent. See ``persist``."""
    started = time.monotonic()
    try:
        return await attempt(_attempt_seconds(budget))
    except Unanswered as failure:
        first = failure
    progress = _Progress(call, started, budget, first)

    async def again() -> T:
        if not progress.begin():
            raise first
        try:
            return await attempt(_attempt_seconds(progress.left()))
        except Unanswered as failure:
            progress.note(failure)
            raise

    try:
        return await AsyncRetrying(**_POLICY, stop=progress.stop())(again)
    except (Unanswered, SessionStoreError) as last:
        raise progress.verdict(last) from last.__cause__


def _attempt_seconds(left: float) -> float:
    return max(SHORTEST, min(ATTEMPT, left))


class _Progress:
    """How far the attempts at one call have come, after the first.

    Args:
        call: what is attempted.
        started: when, as a ``time.monotonic`` instant.
        budget: for how many seconds to go on.
        first: how the first attempt failed.
    """

    def __init__(self, call: Call[Any], started: float, budget: float, first: Unanswered) -> None:
        self._call = call
        self._started = started
        self._budget = budget
        self._attempts = 0
        self._doubt = False
        self.note(first)

    def begin(self) -> bool:
        """Count an attempt; say whether it is to be made, as the first one was already."""
        self._attempts += 1
        return self._attempts > 1

    def left(self) -> float:
        """Return how many seconds of the budget are left."""
        return self._started + self._budget - time.monotonic()

    def stop(self) -> stop_base:
        return stop_before_delay(max(0.0, self.left()))

    def note(self, failure: Unanswered) -> None:
        self._doubt |= self._call.writes and failure.may_have_happened

    def verdict(self, last: Unanswered | SessionStoreError) -> SessionStoreError:
        """Return what to tell the caller: a refusal of this attempt says nothing of earlier ones.

        Unless it came from the function itself, which would have recognised the write.
        """
        if isinstance(last, SessionStoreError) and not (self._doubt and type(last) in _SILENT):
            return last
        seconds = time.monotonic() - self._started
        tried = f"attempts: {self._attempts} in {seconds:.1f} s"
        if self._doubt:
            return OutcomeUnknownError(
                f"{last} ({tried}); the write may have happened: repeat it with its idempotency key"
            )
        return StoreUnavailableError(f"{last} ({tried}); nothing was written: try again")


_SILENT: Final = frozenset(
    {PermissionDeniedError, SchemaOutdatedError, StoreClosedError, StoreUnavailableError}
)
"""What an attempt may end with without having looked at what is stored."""


def refused(functions: Functions, code: str, word: str, detail: str | None) -> SessionStoreError:
    """Return the error for what the database answered instead of doing it.

    Args:
        functions: the domain's.
        code: the SQLSTATE, or PostgREST's own code.
        word: the message.
        detail: JSON text, where the domain's function refused.
    """
    if code.startswith("PT") and word in functions.refusals:
        try:
            return functions.refusals[word](json.loads(detail or ""))
        except (KeyError, TypeError, ValueError):
            pass  # the word is this release's, and what it says is not
    if code in _OUTDATED or code.startswith("PT"):
        return SchemaOutdatedError(f"{word} ({code}); {functions.remedy}")
    if code in _DENIED:
        return PermissionDeniedError(f"{word} ({code})")
    return StoreUnavailableError(f"{word} ({code}); nothing was written")


_OUTDATED: Final = frozenset(
    {
        "22023",  # invalid_parameter_value: the role "authenticated" is not there
        "23514",  # check_violation: a value that this release knows is news to the database
        "3F000",  # invalid_schema_name
        "42703",  # undefined_column
        "42725",  # ambiguous_function
        "42804",  # datatype_mismatch
        "42883",  # undefined_function
        "42P01",  # undefined_table
        "PGRST106",  # the schema is not exposed
        "PGRST202",  # no such function
        "PGRST203",  # several such functions
        "PGRST205",  # no such table
    }
)
"""Something is not there, or not as this release has it."""
_DENIED: Final = frozenset(
    {
        "28000",  # invalid_authorization_specification
        "28P01",  # invalid_password
        "42501",  # insufficient_privilege
        "PGRST300",  # the server has no secret to check a token with
        "PGRST301",  # the token cannot be read, or is not valid
        "PGRST302",  # there is no token
        "PGRST303",  # a claim of the token does not hold
    }
)
"""A grant is missing, or a token or a password is wrong."""
PASSING: Final = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53000",  # insufficient_resources
        "53100",  # disk_full
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57P03",  # cannot_connect_now
    }
)
"""SQLSTATEs of what another attempt may not meet; the statement was rolled back, or never ran."""
LOST: Final = frozenset({"57P01", "57P02", "57P04", "57P05"})
"""SQLSTATEs with which a server ends a connection, and those of class 08; the statement may have
been carried out."""


def connection_lost(code: str) -> bool:
    """Say whether a SQLSTATE tells of a connection that ended."""
    return code.startswith("08") or code in LOST


def _wait(state: RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome else None
    asked = failure.pause if isinstance(failure, Unanswered) else 0.0
    return max(asked, _BACKOFF(state))


_BACKOFF: Final = wait_random_exponential(multiplier=0.02, max=2.0)
_POLICY: Final[dict[str, Any]] = {
    "retry": retry_if_exception_type(Unanswered),
    "wait": _wait,
    "reraise": True,
}


def _encode(value: Any) -> bytes:
    kind = type(value)
    if kind is Encoded:
        encoded: bytes = value.json
        return encoded
    if kind is list:
        return b"[%s]" % b",".join(map(_encode, value))
    shape = _shape(kind)  # type: ignore[arg-type]  # mypy takes no class for hashable
    if shape is None:
        return to_json(value)
    template, members = shape
    return template % tuple(map(_encode, members(value)))


@cache
def _shape(kind: type) -> tuple[bytes, Callable[[Any], Iterable[Any]]] | None:
    """Return what is needed to encode a dataclass by its fields: a template, and what gives them.

    None for what is encoded in one go, because it holds nothing that is encoded already.
    """
    if not (is_dataclass(kind) and _holds_encoded(kind)):
        return None
    names = [field.name for field in fields(kind)]
    template = b"{%s}" % b",".join(to_json(name) + b":%s" for name in names)
    if len(names) == 1:  # attrgetter gives the bare value then
        return template, lambda value: (getattr(value, names[0]),)
    return template, attrgetter(*names)


def _holds_encoded(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    if kind is Encoded:
        return True
    parts = get_type_hints(kind).values() if is_dataclass(kind) else get_args(annotation)
    return any(map(_holds_encoded, parts))
