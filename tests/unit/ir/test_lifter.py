"""The lifter finds every function and what it states, and a hole wherever the source is silent."""

import ast
import copy
import keyword
import pickle
import subprocess
import sys
import threading
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.ir import IntermediateRepresentation, LiftError, lift, lift_functions


def lifted(source: str, name: str | None = None) -> IntermediateRepresentation:
    """Lift dedented source, and return its only function, or the one of that qualified name."""
    found = lift(dedent(source))
    if name is None:
        (ir,) = found
        return ir
    (ir,) = [ir for ir in found if ir.metadata.qualified_name == name]
    return ir


def identifiers(source: str, name: str | None = None) -> list[str]:
    return [hole.identifier for hole in lifted(source, name).typed_holes()]


def names(source: str) -> list[str | None]:
    return [ir.metadata.qualified_name for ir in lift(dedent(source))]


def effects(body: str, head: str = "def f(x):") -> list[str]:
    source = head + "\n" + "".join(f"    {line}\n" for line in dedent(body).strip().split("\n"))
    return [effect.description for effect in lift(source)[0].effects]


# Which functions


def test_every_function_and_method_is_found_in_source_order():
    source = """
        def a(): pass
        class B:
            x = 1
            def c(self):
                def d():
                    class E:
                        async def f(self): pass
                    return E
                return d
            class G:
                @property
                def h(self): pass
        async def i(): pass
        if True:
            def j(): pass
        else:
            def k(): pass
        try:
            def l(): pass
        except* ValueError:
            def m(): pass
        else:
            def n(): pass
        finally:
            def o(): pass
        for _ in []:
            def p(): pass
        while False:
            def q(): pass
        with open('x'):
            def r(): pass
        match 1:
            case 1:
                def s(): pass
            case _:
                def t(): pass
        async def u():
            async with x:
                def v(): pass
            async for _ in x:
                def w(): pass
    """
    assert names(source) == [
        "a", "B.c", "B.c.<locals>.d", "B.c.<locals>.d.<locals>.E.f", "B.G.h", "i", "j", "k", "l",
        "m", "n", "o", "p", "q", "r", "s", "t", "u", "u.<locals>.v", "u.<locals>.w",
    ]  # fmt: skip


def test_lambdas_are_not_functions_and_need_no_holes():
    assert names("f = lambda x: x") == []
    parameter = lifted("def f(key: object = lambda x, *, y=1: x) -> None: 'Doc.'").signature
    assert parameter.parameters[0].default == "lambda x, *, y=1: x"


def test_qualified_names_are_those_python_gives():
    source = dedent("""
        class A:
            def m(self):
                class B:
                    def n(self): pass
                def inner(): pass
                return B, inner
    """)
    scope: dict[str, Any] = {}
    exec(source, scope)
    b, inner = scope["A"]().m()
    assert names(source) == [scope["A"].m.__qualname__, b.n.__qualname__, inner.__qualname__]


def test_each_overload_stands_for_itself():
    source = """
        @overload
        def f(x: int) -> int: ...
        @typing.overload
        def f(x: str) -> str: ...
        def f(x): return x
    """
    first, second, last = lift(dedent(source))
    assert [h.identifier for h in first.typed_holes()] == ["intent"]
    assert [h.identifier for h in second.typed_holes()] == ["intent"]
    assert [h.identifier for h in last.typed_holes()] == ["intent", "x.type", "return.type"]


def test_properties_and_their_setters_are_all_found():
    source = """
        class A:
            @property
            def x(self) -> int:
                "The x."
                return 1
            @x.setter
            def x(self, value):
                self._x = value
    """
    getter, setter = lift(dedent(source))
    assert getter.typed_holes() == []
    assert [h.identifier for h in setter.typed_holes()] == ["intent", "value.type", "return.type"]


def test_a_source_without_functions_gives_nothing():
    assert lift("") == lift("\n# nothing\n") == lift("x = 1") == []


# Provenance


def test_provenance_says_where_the_function_stands():
    ir = lift("\n\n@decorated\ndef f(): pass\n", path="pkg/mod.py")[0]
    assert ir.metadata.to_dict() == {
        "source_path": "pkg/mod.py", "language": "python", "origin": "lift", "line": 4,
        "qualified_name": "f", "evidence": [],
    }  # fmt: skip
    assert lifted("def f(): pass").metadata.source_path is None


# Intent


@pytest.mark.parametrize(
    ("docstring", "summary", "rationale"),
    [
        ('"""Do it."""', "Do it.", None),
        ("'Do it.'", "Do it.", None),
        ('"""  Do it.  """', "Do it.", None),
        ('"""\n    Do it\n    now.\n    """', "Do it now.", None),
        (
            '"""Do it.\n\n    Why.\n      More.\n\n    End.\n    """',
            "Do it.",
            "Why.\n  More.\n\nEnd.",
        ),
        ('"""Do it.\n   \t \n    Why."""', "Do it.", "Why."),
        ('"""Do it.\n\n\n\n    Why.\n\n    """', "Do it.", "Why."),
        ('"Do " "it."', "Do it.", None),
        ('r"""\\d"""', "\\d", None),
        ('"""Ünï 漢字"""', "Ünï 漢字", None),
    ],
)
def test_intent_is_the_docstring(docstring: str, summary: str, rationale: str | None):
    ir = lift(f"def f() -> None:\n    {docstring}\n")[0]
    assert (ir.intent.summary, ir.intent.rationale) == (summary, rationale)
    assert ir.typed_holes() == []


@pytest.mark.parametrize(
    "body", ["return 1", "'' ", "'''  \n\n '''", "b'x'", "f'x'", "x = 'Doc.'", "1; 'Doc.'"]
)
def test_no_docstring_is_an_intent_hole(body: str):
    ir = lift(f"def f() -> int:\n    {body}\n    return 1\n")[0]
    assert ir.intent.summary == ""
    assert [(h.identifier, h.kind) for h in ir.typed_holes()] == [("intent", "intent")]
    assert ir.intent.holes == tuple(ir.typed_holes())


# Signatures


def test_parameters_of_every_kind_with_their_defaults():
    ir = lifted(
        "def f(a, b: int = 1, /, c=2, *args: str, d, e: 'T' = 3, **kw: Any) -> None: 'Doc.'"
    )
    assert [
        (p.name, p.kind, p.type_hint, p.default) for p in ir.signature.parameters
    ] == [
        ("a", "positional_only", None, None),
        ("b", "positional_only", "int", "1"),
        ("c", "positional_or_keyword", None, "2"),
        ("args", "var_positional", "str", None),
        ("d", "keyword_only", None, None),
        ("e", "keyword_only", "T", "3"),
        ("kw", "var_keyword", "Any", None),
    ]  # fmt: skip
    assert [h.identifier for h in ir.signature.holes] == ["a.type", "c.type", "d.type"]


def test_defaults_belong_to_the_last_positional_parameters():
    ir = lifted("def f(a, b=1, /, c=2, *, d=3, e): pass")
    assert [p.default for p in ir.signature.parameters] == [None, "1", "2", "3", None]


def test_a_signature_hole_names_the_parameter_and_its_default():
    first, second, returned = lifted("def f(a, b=None): 'Doc.'; return 1").typed_holes()
    assert first.to_dict() == {
        "identifier": "a.type", "kind": "signature", "type_hint": "type",
        "description": "What type is the parameter a?", "constraints": {},
    }  # fmt: skip
    assert (second.identifier, second.constraints) == ("b.type", {"default": "None"})
    assert (returned.identifier, returned.kind) == ("return.type", "signature")


def test_star_parameters_without_annotation_are_holes_named_without_stars():
    assert identifiers("def f(*args, **kwargs) -> int: 'Doc.'; return 1") == [
        "args.type",
        "kwargs.type",
    ]


@pytest.mark.parametrize(
    ("annotation", "hint"),
    [
        ("int", "int"),
        ("None", "None"),
        ("a.b.C", "a.b.C"),
        ("dict[str, int | None]", "dict[str, int | None]"),
        ("'Later'", "Later"),
        ("' Later '", "Later"),
        ("''", "''"),
        ("Literal['a']", "Literal['a']"),
        ("...", "..."),
        ("Callable[[int],  str]", "Callable[[int], str]"),
        ("(\n  int |\n  str)", "int | str"),
    ],
)
def test_annotations_are_source_text(annotation: str, hint: str):
    ir = lift(f"def f(x: {annotation}) -> {annotation}:\n    'Doc.'\n    return 1")[0]
    assert ir.signature.parameters[0].type_hint == ir.signature.returns == hint
    assert ir.typed_holes() == []


def test_a_starred_annotation_is_kept():
    assert lifted("def f(*args: *Ts): pass").signature.parameters[0].type_hint == "*Ts"


@pytest.mark.parametrize(
    "default",
    [
        "lambda: 0", "lambda *a, **k: (a, k)", "f'{x!r:>{width}}'", "[*a, *b]", "{**a, 'b': 1}",
        "(yield_,)", "-1", "1e+16", "1j", "b'x'", "...", "not x", "x if y else z", "{1: 2}",
        "[i for i in x]", "x[1:2, ::3]", "'\\ud800'", "{*()}", "print('a', *b, **c)", "'漢字'",
    ],
)  # fmt: skip
def test_defaults_mean_what_they_meant(default: str):
    ir = lift(f"def f(x={default}): pass")[0]
    text = ir.signature.parameters[0].default
    assert text is not None
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(default))
    assert ir.signature.holes[0].constraints == {"default": text}


def test_receivers_are_parameters_but_no_holes():
    source = """
        class A:
            def m(self, x: int) -> int: "Doc."; return x
            def n(self, /) -> int: "Doc."; return 1
            @classmethod
            def c(cls) -> int: "Doc."; return 1
            def __new__(cls) -> A: "Doc."; return 1
            if True:
                def late(this) -> int: "Doc."; return 1
    """
    for ir in lift(dedent(source)):
        assert ir.typed_holes() == []
        assert ir.signature.parameters[0].name in {"self", "cls", "this"}


@pytest.mark.parametrize(
    "decorator", ["staticmethod", "builtins.staticmethod", "abc.abstractstaticmethod"]
)
def test_a_static_method_has_no_receiver(decorator: str):
    source = f"class A:\n  @{decorator}\n  def f(self) -> int: 'Doc.'; return 1"
    assert identifiers(source) == ["self.type"]


@pytest.mark.parametrize(
    "source",
    [
        "def f(self) -> int: 'Doc.'; return 1",
        "class A:\n  def m(self) -> int:\n    'Doc.'\n    def f(self) -> int: 'Doc.'; return 1",
        "class A:\n  def f(*self) -> int: 'Doc.'; return 1",
        "class A:\n  def f(*, self) -> int: 'Doc.'; return 1",
    ],
)
def test_self_elsewhere_is_an_ordinary_parameter(source: str):
    assert [h.identifier for h in lift(source)[-1].typed_holes()] == ["self.type"]


def test_init_returns_none_without_saying_so():
    ir = lifted("class A:\n  def __init__(self, x: int): 'Doc.'; self.x = x")
    assert ir.signature.returns == "None"
    assert ir.typed_holes() == []
    assert "return.type" in identifiers("def __init__(self): 'Doc.'; x = 1")


# Effects


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError('x')", ["Raises ValueError"]),
        ("raise ValueError", ["Raises ValueError"]),
        ("raise a.b.Error(1) from e", ["Raises a.b.Error"]),
        ("raise ValueError from None", ["Raises ValueError"]),
        ("raise type(x)(1)", ["Raises type(x)"]),
        ("raise Error[int]('x')", ["Raises Error[int]"]),
        ("raise ValueError('x').with_traceback(None)", ["Raises ValueError"]),
        ("raise socket.error", ["Raises socket.error"]),
        ("raise error", ["Raises error"]),
        ("raise x", []),
        ("raise x.cause", []),
        ("raise x.with_traceback(None)", []),
        ("y = make()\nraise y", []),
        ("raise errors[0]", []),
        ("try:\n    g()\nexcept E as e:\n    raise e", []),
        ("try:\n    g()\nexcept E:\n    raise", []),
        ("try:\n    g()\nexcept E as e:\n    raise KeyError(1) from e", ["Raises KeyError"]),
        ("if x < 0:\n    raise ValueError", ["Raises ValueError if x < 0"]),
        ("if x:\n    y\nelse:\n    raise ValueError", ["Raises ValueError unless x"]),
        ("if x:\n    y\nelif z:\n    raise A", ["Raises A if z"]),
        ("if x:\n    y\nelif z:\n    y\nelse:\n    raise A", ["Raises A unless z"]),
        ("if x:\n    for y in x:\n        raise ValueError", ["Raises ValueError if x"]),
        ("if x:\n    if z:\n        raise ValueError", ["Raises ValueError if z"]),
        ("if x:\n    raise A\nraise B\nraise A", ["Raises A", "Raises B"]),
        ("if x:\n    raise A\nif y:\n    raise A", ["Raises A if x, or if y"]),
        ("if x:\n    raise A\nif x:\n    raise A", ["Raises A if x"]),
        ("if (x and\n        y):\n    raise A", ["Raises A"]),
        ("if " + "x" * 101 + ":\n    raise A", ["Raises A"]),
        ("\n".join(f"if x{i}:\n    raise A" for i in range(4)), ["Raises A"]),
        ("def g():\n    raise A\nlambda: g", []),
        ("class B:\n    if x:\n        raise A", ["Raises A if x"]),
        ("with y:\n    match x:\n        case 1:\n            raise A", ["Raises A"]),
        ("while x:\n    raise A\nelse:\n    raise B", ["Raises A", "Raises B"]),
    ],
)  # fmt: skip
def test_effects_are_what_the_body_raises(body: str, expected: list[str]):
    assert effects(body) == expected


def test_an_enclosing_condition_does_not_reach_into_a_nested_function():
    source = "def f(x):\n  if x:\n    def g():\n      raise A\n"
    assert [e.description for e in lift(source)[1].effects] == ["Raises A"]


def test_what_a_module_raises_or_asserts_belongs_to_no_function():
    first = lift("raise A\nassert x\nif x:\n  class C:\n    raise B\n    def f(self): pass\n")[0]
    assert (first.effects, first.assertions) == ((), ())


# Assertions


def test_assertions_state_predicate_and_message():
    source = """
        def f(x):
            assert x  >  0, "must be positive"
            assert x
            assert isinstance(x, int), f"{x} is no int"
            while x:
                assert x < 10
            def g():
                assert False
    """
    ir = lifted(source, "f")
    assert [(a.predicate, a.rationale) for a in ir.assertions] == [
        ("x > 0", "must be positive"),
        ("x", None),
        ("isinstance(x, int)", "f'{x} is no int'"),
        ("x < 10", None),
    ]


# Placeholders


@pytest.mark.parametrize(
    "body",
    [
        "...",
        "'Doc.'; ...",
        "pass",
        "pass; ...",
        "'Doc.'; pass",
        "'Doc.'",
        "raise NotImplementedError",
        "raise NotImplementedError('later')",
        "'Doc.'; raise NotImplementedError() from None",
    ],
)
def test_a_placeholder_body_is_an_implementation_hole_and_no_effect(body: str):
    ir = lift(f"def f() -> int: {body}")[0]
    assert [(h.identifier, h.kind) for h in ir.holes] == [("implementation", "implementation")]
    assert ir.typed_holes()[-1] == ir.holes[0]
    assert ir.effects == ()


@pytest.mark.parametrize(
    "source",
    [
        "def f(): return NotImplemented",
        "def f(): x = ...",
        "def f(): 1",
        "def f(): return",
        "def f(): pass; x = 1",
        "def f() -> None: 'Does nothing, on purpose.'; pass",
        "def f() -> None: 'Does nothing, on purpose.'",
        "class A:\n  def __init__(self): 'Doc.'; pass",
        "@overload\ndef f(): ...",
        "def f():\n  if x: raise NotImplementedError",
        "def f():\n  g()\n  raise NotImplementedError",
        "def f(): raise ValueError",
    ],
)
def test_other_bodies_are_implementations(source: str):
    assert lift(source)[0].holes == ()


def test_a_refused_case_is_an_effect():
    assert effects("if x:\n    raise NotImplementedError('x')\nreturn 1") == [
        "Raises NotImplementedError if x"
    ]


def test_all_holes_of_a_bare_stub_in_order():
    assert identifiers("def f(a, *b, c=1, **d): ...") == [
        "intent", "a.type", "b.type", "c.type", "d.type", "return.type", "implementation",
    ]  # fmt: skip


parameter_names = st.from_regex(r"[a-zA-Zµéß漢ﬁ_][a-z0-9µﬁ_]{0,3}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name)
)


@given(st.lists(parameter_names, max_size=6, unique_by=lambda n: unicodedata.normalize("NFKC", n)))
def test_hole_identifiers_are_unique_within_a_representation(parameters: list[str]):
    found = [
        hole.identifier for hole in lift(f"def f({', '.join(parameters)}): ...")[0].typed_holes()
    ]
    assert len(set(found)) == len(found) == len(parameters) + 3


# Errors and hostile sources


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def f(:\n", 1),
        ("x = 1\n\ndef f()\n", 3),
        ("def f():\npass", 2),
        ("x\x00", 1),
        ("a\r\nb\rc\n\x00", 4),
        ("a\nx = '\ud800'", 2),
        ("'''unterminated", 1),
        ("\tx\n        y", 1),
        ("print 'x'", 1),
        ("(" * 300 + ")" * 300, 1),
        ("".join(" " * depth + "if x:\n" for depth in range(120)), 101),
    ],
)
def test_a_source_that_does_not_parse_names_path_and_line(source: str, line: int):
    with pytest.raises(LiftError) as raised:
        lift(source, path="pkg/bad.py")
    assert (raised.value.path, raised.value.line) == ("pkg/bad.py", line)
    assert str(raised.value).startswith(f"pkg/bad.py:{line}: ")
    assert raised.value.reason in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_an_error_without_a_path_says_so_and_survives_pickling():
    with pytest.raises(LiftError, match=r"^<source>:1: ") as raised:
        lift("def")
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.line) == (str(raised.value), 1)
    assert str(LiftError("gone", "a.py")) == "a.py: gone"


EXPRESSIONS: dict[str, Callable[[int], str]] = {
    "unary": lambda n: "-" * n + "x",
    "attribute": lambda n: "x" + ".a" * n,
    "call": lambda n: "x" + "()" * n,
    "binary": lambda n: "+".join("x" * n),
    "subscript": lambda n: "x" + "[漢]" * n,
    "flat": lambda n: "[" + ", ".join("x" * n) + "]",
}


@pytest.mark.parametrize("kind", [kind for kind in EXPRESSIONS if kind != "flat"])
def test_what_the_parser_gives_up_on_is_an_own_error(kind: str):
    with pytest.raises(LiftError, match=r"^deep.py: nests too deeply"):
        lift(f"x = {EXPRESSIONS[kind](100_000)}", path="deep.py")


@pytest.mark.parametrize("size", [50, 99, 101, 500, 2_000])
@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_deep_and_long_expressions_are_lifted(kind: str, size: int):
    text = EXPRESSIONS[kind](size)
    ir = lift(f"def f(x={text}):\n  assert {text}\n  if {text}:\n    raise A({text})\n")[0]
    default = ir.signature.parameters[0].default
    assert default is not None
    assert default.replace(" ", "") == text.replace(" ", "")
    assert ir.assertions[0].predicate == default
    assert ir.effects[0].description.startswith("Raises A")


def test_the_text_of_a_deep_expression_does_not_depend_on_the_callers_stack():
    source = "def f(x=" + "-" * 90 + "x, y=" + "+".join("x" * 300) + "): pass"

    def below(frames: int) -> list[IntermediateRepresentation]:
        return below(frames - 1) if frames else lift(source)

    assert below(300) == lift(source)


def test_a_deep_expression_is_quoted_over_several_lines():
    text = "(é" + "\n + x" * 150 + ")"
    default = lift(f"def é(y: 漢 = {text}): pass")[0].signature.parameters[0].default
    assert default == text[1:-1]


def test_an_integer_too_long_for_decimal_is_quoted():
    text = "0x" + "f" * 10_000
    assert lifted(f"def f(x={text}): pass").signature.parameters[0].default == text


def test_an_f_string_that_cannot_be_unparsed_is_quoted():
    text = "f'''{'a' + \"b\"}{\"\"\"c\"\"\"}'''"
    default = lifted(f"def f(x={text}): pass").signature.parameters[0].default
    assert default is not None
    assert ast.dump(ast.parse(default)) == ast.dump(ast.parse(text))


def test_a_long_chain_of_elif_is_walked():
    source = "def f(x):\n  if x: pass\n" + "".join(
        f"  elif x == {i}: raise E{i}\n" for i in range(900)
    )
    assert len(lift(source)[0].effects) == 900


def test_as_deep_as_python_nests_functions():
    source = "".join(" " * depth + "def f():\n" for depth in range(99)) + " " * 99 + "return 1"
    found = lift_functions(source)
    assert len(found) == 99
    assert found[-1].qualified_name == "f" + ".<locals>.f" * 98
    assert found[-1].source == "def f():\n return 1"


def test_unicode_names_are_normalized_as_python_does():
    ir = lifted("def ﬁx(µ): pass")
    assert (ir.signature.name, ir.signature.parameters[0].name) == ("fix", "μ")


def test_a_source_is_parsed_but_never_run(tmp_path: Path):
    touch = f"open({str(tmp_path / 'ran')!r}, 'w')"
    lift(f"{touch}\nimport nonexistent_module\n@{touch}\ndef f(x: {touch} = {touch}): pass")
    assert not (tmp_path / "ran").exists()


WARNING_SOURCES = [
    "def f(): '\\d'",
    "x = 1 if 1is 1 else 2",
    "assert (x, 'y')",
    "x = 0in ()",
    "() is ()",
]


@pytest.mark.parametrize("source", WARNING_SOURCES)
def test_warnings_of_the_parser_do_not_leak(source: str):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        lift(source)
    assert seen == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lift(source) is not None


def test_lifting_in_threads_leaves_the_warning_filters_alone():
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [lift("def f(): '\\d'") for _ in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


EVERYTHING = '''
import abc

class A(abc.ABC):
    """Doc."""

    @abc.abstractmethod
    def f(self, a, /, b: int = 1, *c, d="x", **e) -> str:
        """Summary.

        More.
        """
        if a is None:
            raise TypeError("a")
        assert b, "b"
        assert {"z", "y"} != {1, 2}
        if b: raise ValueError
        elif c: raise ValueError
        else: raise KeyError(a)
'''


def test_the_same_source_gives_the_same_in_every_process():
    script = (
        "import sys; from lift_sys.ir import lift; print([i.to_json() for i in lift(sys.argv[1])])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, EVERYTHING],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, check=True, text=True,
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert outputs == {f"{[ir.to_json() for ir in lift(EVERYTHING)]}\n"}


def test_what_is_lifted_makes_the_round_trip():
    ir = lift(EVERYTHING)[0]
    assert IntermediateRepresentation.from_json(ir.to_json()) == ir
    assert IntermediateRepresentation.from_dict(ir.to_dict()) == ir
    assert copy.deepcopy(ir) is ir


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_make_no_difference(end: str):
    assert lift(EVERYTHING.replace("\n", end)) == lift(EVERYTHING)
    assert lift_functions(EVERYTHING.replace("\n", end)) == lift_functions(EVERYTHING)


def test_a_byte_order_mark_makes_no_difference():
    assert lift_functions("\ufeff" + EVERYTHING) == lift_functions(EVERYTHING)


def test_a_declared_encoding_means_nothing_for_text():
    assert lift("# coding: latin-1\ndef f(): 'é'")[0].intent.summary == "é"
