"""Patterns that Postgres cannot express exactly are refused, and left to a reviewer."""

from typing import Any

import pytest

from lift_sys.contracts import tables_for
from lift_sys.contracts.patterns import UntranslatableError, translate


@pytest.mark.parametrize(
    "pattern",
    [
        r"\p{L}", r"(?<name>a)", r"(a)\1", r"\u{1F600}", r"\cA", r"\0", r"\x00", r"\ud83c",
        r"[\S]", r"[a-\d]", r"[\w-z]", "[]", "[^]", "(", ")", "[a",
        "\\", "a{", "a{300}", "a{1,256}",
        "^*", "*a", "a**", "a|*", "(?=a)*", r"\b+", "(?i)a", "(?#x)", "a++", "]", "}", r"\z",
        r"[\z]",         "a{2,1}", r"\é",
    ],
)  # fmt: skip
def test_a_pattern_without_counterpart_is_refused(pattern: str) -> None:
    with pytest.raises(UntranslatableError):
        translate(pattern)


def test_such_a_pattern_is_left_to_a_reviewer(load: Any) -> None:
    contract = load(
        {"properties": {"x": {"type": "string", "pattern": r"^\p{L}+$"}}}, strategy="relational"
    )
    (table,) = tables_for(contract)
    assert "pattern" in {marker.topic for marker in table.markers}
    assert all("~" not in check for column in table.columns for check in column.checks)
