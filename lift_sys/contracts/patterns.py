"""Regular expressions of JSON Schema (ECMA-262) as Postgres writes them.

The two dialects share most of their syntax and give some of it other meanings: ``\\b`` is a word
boundary in one and a backspace in the other, ``.`` stops at a line end only in one. What has no
exact counterpart is refused, so that a CHECK never refuses a value the contract accepts.
"""

import re
from collections.abc import Iterator
from typing import Final

UUID_PATTERNS: Final = frozenset(
    f"^{digit}{{8}}-{digit}{{4}}-{digit}{{4}}-{digit}{{4}}-{digit}{{12}}$"
    for digit in ("[0-9a-f]", "[0-9a-fA-F]", "[a-f0-9]", "[a-fA-F0-9]")
)
"""The ways to write "a UUID in text" that become the type uuid."""

_SPACES: Final = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": _SPACES}
_SAME_ESCAPES: Final = frozenset("fnrtv")
_MAX_REPEAT: Final = 255
_TOKEN: Final = re.compile(
    r"""
      (?P<hex>\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2})
    | (?P<escape>\\.)
    | (?P<lookaround>\(\?<?[=!])
    | (?P<group>\((?:\?:)?)
    | (?P<quantifier>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??)
    | (?P<set>\[)
    | (?P<plain>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class UntranslatableError(ValueError):
    """The pattern has no exact counterpart in Postgres; the message says which part of it."""


def translate(pattern: str) -> str:
    """Return the Postgres pattern that matches exactly what the ECMA-262 ``pattern`` matches.

    Raises:
        UntranslatableError: some part has no counterpart, or is no regular expression.
    """
    translated = "".join(_translate(pattern))
    try:
        # Python and Postgres agree on what is well formed, but for the name of a word boundary.
        re.compile(translated.replace(r"\y", r"\b").replace(r"\Y", r"\B"))
    except (re.error, OverflowError, RecursionError) as error:
        raise UntranslatableError(f"it is no regular expression ({error})") from error
    return translated


def _translate(pattern: str) -> Iterator[str]:
    position = 0
    may_repeat = False
    open_groups: list[bool] = []
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        kind, text = (match.lastgroup, match.group()) if match else ("end", "\\")
        if kind == "set":
            position, translated = _translate_set(pattern, position)
            yield translated
            may_repeat = True
            continue
        position += len(text)
        if kind == "quantifier":
            _check_quantifier(text, may_repeat=may_repeat)
            may_repeat = False
            yield text
        elif kind in {"group", "lookaround"}:
            if kind == "group" and pattern.startswith("?", position):
                raise UntranslatableError(f"the group {text}{pattern[position : position + 2]}...")
            open_groups.append(kind == "group")
            may_repeat = False
            # Postgres has no captures inside a lookaround; a CHECK needs none anywhere.
            yield "(?:" if kind == "group" else text
        elif text == ")":
            may_repeat = bool(open_groups) and open_groups.pop()
            yield text
        else:
            may_repeat = text not in {"^", "$", "|", r"\b", r"\B"}
            yield _translate_atom(kind, text)


def _translate_atom(kind: str | None, text: str) -> str:
    if kind == "hex":
        return _code_point(text)
    if kind == "escape":
        return _translate_escape(text)
    if kind == "end" or text in {"{", "}", "]"}:
        raise UntranslatableError(f"a lone {text}")
    return r"[^\n\r\u2028\u2029]" if text == "." else text


def _translate_escape(text: str) -> str:
    name = text[1]
    if name in _CLASSES:
        return f"[{_CLASSES[name]}]"
    if name.lower() in _CLASSES:
        return f"[^{_CLASSES[name.lower()]}]"
    if name in _SAME_ESCAPES:
        return text
    if name in "bB":
        return r"\y" if name == "b" else r"\Y"
    if name.isalnum() or name == "_" or not name.isascii():
        raise UntranslatableError(f"the escape {text}")
    return text


def _translate_set(pattern: str, start: int) -> tuple[int, str]:
    """Return where the bracket expression at ``start`` ends, and its translation."""
    position = start + 1
    parts = ["["]
    if pattern.startswith("^", position):
        parts.append("^")
        position += 1
    first = len(parts)
    if pattern.startswith("]", position):
        raise UntranslatableError("an empty set []")
    while not pattern.startswith("]", position):
        member = re.compile(r"\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\?.", re.DOTALL).match(
            pattern, position
        )
        if member is None or member.group() == "\\":
            raise UntranslatableError("a set [ without its ]")
        position = member.end()
        parts.append(
            _translate_member(
                member.group(),
                ends_range=parts[-1] == "-" and len(parts) > first + 1,
                starts_range=pattern[position : position + 1] == "-"
                and pattern[position : position + 2] != "-]",
            )
        )
    return position + 1, "".join([*parts, "]"])


def _translate_member(text: str, *, starts_range: bool, ends_range: bool) -> str:
    if len(text) > 2:  # noqa: PLR2004 - longer than a backslash and its letter: \uXXXX or \xXX
        return _code_point(text)
    if text[0] != "\\":
        # Postgres reads [:, [. and [= inside a set as the start of a class name.
        return rf"\{text}" if text == "[" else text
    name = text[1]
    if name in _CLASSES:
        if starts_range or ends_range:
            raise UntranslatableError(f"the range from or to {text}")
        return _CLASSES[name]
    if name == "b":
        return r"\u0008"
    if name in _SAME_ESCAPES:
        return text
    if name.isalnum() or name == "_" or not name.isascii():
        raise UntranslatableError(f"{text} inside a set")
    return text


def _code_point(text: str) -> str:
    number = int.from_bytes(bytes.fromhex(text[2:]), "big")
    if number == 0 or 0xD800 <= number <= 0xDFFF:  # noqa: PLR2004 - the surrogates' range
        raise UntranslatableError(f"the character {text}, which Postgres text cannot hold")
    return f"\\u{number:04x}"


def _check_quantifier(text: str, *, may_repeat: bool) -> None:
    if not may_repeat:
        raise UntranslatableError(f"{text} repeats an anchor, a lookaround or nothing")
    if any(int(number) > _MAX_REPEAT for number in re.findall(r"\d+", text)):
        raise UntranslatableError(f"{text} repeats more than {_MAX_REPEAT} times")
