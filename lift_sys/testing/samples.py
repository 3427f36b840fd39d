"""What the suite stores: texts, JSON values and instants that stores are known to change."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lift_sys.ir.models import IntermediateRepresentation
from lift_sys.spec_sessions import HoleResolution, IRDraft, PromptRevision, PromptSession

START: Final = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
"""An instant with microseconds, from which samples count."""

TEXTS: Final[dict[str, str]] = {
    "empty": "",
    "blanks": "  two before, three after   ",
    "only_blanks": " \t\n\r\n ",
    "line_ends": "a\nb\r\nc\rd\u0085e\u2028f\u2029g",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "composed": "caf\u00e9 \u212b \ufb01",
    "decomposed": "cafe\u0301 A\u030a fi",
    "zalgo": "z" + "\u0335\u0327\u0489" * 40,
    "arabic": "\u0645\u0631\u062d\u0628\u0627 \u202bab\u202c \u0661\u0662",
    "hebrew": "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "devanagari": "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f",
    "chinese": "\u4f60\u597d\uff0c\u4e16\u754c \U00020000\U0002a6d6",
    "korean": "\ud55c\uae00 \u1112\u1161\u11ab",
    "thai": "\u0e19\u0e49\u0e33",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 \u2764\ufe0f",
    "math": "\U0001d518\U0001d52b\U0001d526 \u2211\u222b",
    "case_traps": "\u0130I\u0131i \u00df\u1e9e \u017f K\u212a",
    "invisible": "\ufeffa\u200bb\u00adc\u2060d\u00a0e",
    "last_code_points": "\ufffd \ufffe \uffff \U0001fffe \U0010ffff",
    "sql": "'; drop table sessions; -- \" ` $$ $1 ? :name %s %(x)s \\",
    "escapes": r"\u0000 \ud800 \n \\ \x00 %00 &#0; \N{NULL}",
    "markup": "</script><!-- {{x}} ${y} {0} -->",
    "words": "null NaN None true -0 1e5 undefined Infinity",
    "long": "0123456789abcdef" * 8_192,
}
"""Texts that a store must not change, by what is special about them."""

JSON: Final[dict[str, Any]] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "float_zero": 0.0,
    "negative_zero": -0.0,
    "float_one": 1.0,
    "float_hundred": 1e2,
    "tenth": 0.1,
    "sum": 0.1 + 0.2,
    "past_exact_floats": 2**53 + 1,
    "int64": 2**63 - 1,
    "past_int64": 2**63,
    "below_int64": -(2**63) - 1,
    "past_uint64": 2**64,
    "thirty_digits": 10**30,
    "minus_thirty_digits": -(10**30),
    "longest_integer": 10**4_300 - 1,
    "float_like_an_integer": 1e15,
    "float_past_exact": 1e16,
    "float_with_exponent": 1e22,
    "great": 1e308,
    "greatest": 1.7976931348623157e308,
    "least": 5e-324,
    "small": -1e-7,
    "seventeen_digits": 1234567890.1234567,
    "empty_object": {},
    "empty_array": [],
    "empty_key": {"": {"": [""]}},
    "near_keys": {"a": 1, "A": 2, "a ": 3, "\u00e9": 4, "e\u0301": 5},
    "odd_keys": {"__proto__": 1, "a.b": 2, "$ref": 3, "'\"\\": 4, "\U0001f600": 5, "0": 6},
    "mixed": [1, 1.0, True, "1", None, [], {}, [1, [1.0, [True]]]],
    "kinds_of_one": {"int": 1, "float": 1.0, "bool": True, "text": "1"},
    "text_of_numbers": ["1e2", "-0", "007", "NaN"],
}
"""JSON values that a store must not change, types included."""

INSTANTS: Final[dict[str, str]] = {
    "zulu": "2026-03-01T12:00:00Z",
    "offset_then_z": "2026-03-01T12:00:00.000001+00:00Z",
    "microseconds": "2026-03-01T12:00:00.123456+00:00",
    "last_microsecond": "2026-12-31T23:59:59.999999+00:00",
    "milliseconds": "2026-03-01T12:00:00.120+00:00",
    "east": "2026-03-01T12:00:00.5+05:45",
    "west": "2026-03-01T00:00:00-09:30",
    "offset_with_seconds": "1890-01-01T00:00:00+00:19:32",
    "far_east": "2026-03-01T00:00:00+14:00",
    "before_1970": "1969-12-31T23:59:59.999999+00:00",
    "past_2038": "2038-01-19T03:14:08+00:00",
    "leap_day": "2000-02-29T12:00:00Z",
    "first": "0001-01-01T00:00:00+00:00",
    "last": "9999-12-31T23:59:59.999999+00:00",
    "basic_format": "20260301T120000Z",
}
"""ISO 8601 instants that a store must give back as the same instant."""


def nested(depth: int) -> Any:
    """Return an array that holds arrays, `depth` of them in all, objects in between."""
    value: Any = []
    for level in range(depth - 1):
        value = {"k": value} if level % 2 else [value]
    return value


def revision(text: str = "say it", at: datetime = START, **fields: Any) -> PromptRevision:
    """Return a revision with that content."""
    kind = fields.pop("revision_type", "manual_edit")
    return PromptRevision(timestamp=at, content=text, revision_type=kind, **fields)


def draft(number: int = 1, at: datetime = START, **fields: Any) -> IRDraft:
    """Return a draft with that version, and a hole in its intent."""
    ir = fields.pop("ir", None) or {
        "intent": {"summary": f"draft {number}", "holes": [{"identifier": "why", "kind": "intent"}]}
    }
    ir = IntermediateRepresentation.from_dict(ir)
    return IRDraft(version=number, ir=ir, created_at=at, **fields)


def resolution(hole: str = "why", at: datetime = START, **fields: Any) -> HoleResolution:
    """Return a resolution of that hole."""
    text = fields.pop("resolution_text", "because")
    kind = fields.pop("resolution_type", "clarify_intent")
    return HoleResolution(
        hole_id=hole, resolution_text=text, resolution_type=kind, timestamp=at, **fields
    )


def session(text: str = "a function that adds", **fields: Any) -> PromptSession:
    """Return a new session with one item of each kind; `fields` replace its own."""
    values: dict[str, Any] = {
        "session_id": str(uuid.uuid4()),
        "revisions": [revision(text, revision_type="initial")],
        "ir_drafts": [draft()],
        "pending_resolutions": [resolution()],
        "created_at": START,
        "updated_at": START,
    }
    return PromptSession(**{**values, **fields})


def full_session() -> PromptSession:
    """Return a session in which no field has its default, and most values are awkward."""
    moments = (START + timedelta(microseconds=n * n) for n in range(1, 1000))
    return PromptSession(
        session_id=f"\u00fcber/{uuid.uuid4()} '\"\\%",
        status="finalized",
        source="code",
        revisions=[
            revision(text, next(moments), target_hole=name, metadata={text: {name: [text]}})
            for name, text in TEXTS.items()
        ],
        ir_drafts=[
            draft(
                number,
                next(moments),
                ir={"intent": {"summary": name}, "later": {"of": value}, "extra": [value]},
                validation_status="contradictory",
                smt_results=[value, {name: value}],
                ambiguities=[{"at": value}],
                metadata={name: value},
            )
            for number, (name, value) in enumerate(JSON.items(), 1)
        ],
        pending_resolutions=[
            resolution(
                text,
                next(moments),
                resolution_text=text[::-1],
                resolution_type="specify_effect",
                applied=number % 2 == 0,
                metadata={"n": number},
            )
            for number, text in enumerate(TEXTS.values())
        ],
        metadata={"json": JSON, "texts": TEXTS},
        created_at=START - timedelta(days=1),
        updated_at=START + timedelta(microseconds=1),
        finalized_at=START + timedelta(microseconds=2),
    )


def grow(grown: PromptSession, number: int = 1, at: datetime = START) -> PromptSession:
    """Add a revision, a draft and a resolution that tell their `number`, and return the session."""
    grown.add_revision(revision(f"revision {number}", at))
    grown.add_draft(draft(number, at))
    grown.add_resolution(resolution(f"hole {number}", at))
    return grown


def copies(original: PromptSession) -> Iterator[PromptSession]:
    """Yield copies of `original` that no store knows, for ever."""
    document = original.to_dict()
    while True:
        yield PromptSession.from_dict(document)


def unknown_copy(original: PromptSession) -> PromptSession:
    """Return a copy of `original` that no store knows, as one that was kept elsewhere is."""
    return next(copies(original))
