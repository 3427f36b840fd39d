"""Each lifted function comes with its own text, which parses to the same function."""

import ast
from textwrap import dedent

import pytest

from lift_sys.ir import lift_functions


def text_of(source: str, index: int = 0) -> str:
    return lift_functions(source)[index].source


def same_function(source: str, index: int = 0) -> bool:
    """Say whether the lifted text parses to the function in the source, strings included."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    (again,) = ast.parse(text_of(source, index)).body
    return ast.dump(again) == ast.dump(functions[index])


def test_a_function_at_the_margin_is_taken_as_it_stands():
    source = "x = 1\n\n\ndef f(\n    a,\nb):  # why\n\n    return a  # here\n\n# after\ny = 2\n"
    assert text_of(source) == "def f(\n    a,\nb):  # why\n\n    return a  # here"


@pytest.mark.parametrize("indent", [" ", "    ", "\t", "\t\t", " \t", "\f    ", "  \f  "])
def test_indentation_is_taken_off(indent: str):
    body = indent + "    "
    source = f"class A:\n{indent}def f(self):\n\n{body}if self:\n{body}    return 1\n"
    assert text_of(source) == "def f(self):\n\n    if self:\n        return 1"


def test_a_form_feed_before_a_function_is_no_part_of_it():
    assert text_of("x = 1\n  \fdef f(): return '\f'\n") == "def f(): return '\f'"
    assert (
        text_of("class A:\n  def f(self):\n    # \f\n\f    '\f'") == "def f(self):\n  # \f\n  '\f'"
    )


def test_a_form_feed_restarts_the_indentation():
    source = "class A:\n    def f(self):\n\f        x = 1\n  \f        return x\n"
    assert text_of(source) == "def f(self):\n    x = 1\n    return x"


@pytest.mark.parametrize(
    "decorator",
    ["@a", "@a.b(1)", "@ a", "@(a)", "@(\n    a\n    @ b\n)", "@(  # why\n\n  a)", "@a(c\n@ b)"],
)
def test_decorators_belong_to_the_text(decorator: str):
    source = f"x = 1\n{decorator}\n@last\ndef f(): pass\n"
    (found,) = lift_functions(source)
    assert found.source == f"{decorator}\n@last\ndef f(): pass"
    assert found.line == source.count("\n")


def test_an_async_function_keeps_its_async():
    assert text_of("class A:\n  async \\\n    def f(self):\n      await x") == (
        "async \\\n  def f(self):\n    await x"
    )


def test_a_nested_function_has_its_own_text_and_stays_in_the_outer_one():
    source = "def f():\n    @d\n    def g():\n        return 1\n    return g\n"
    assert text_of(source) == source.rstrip()
    assert text_of(source, 1) == "@d\ndef g():\n    return 1"


def test_what_stands_left_of_the_indentation_stays():
    source = "class A:\n    def f(self):\n# note\n        return (1 +\n  2)\n"
    assert text_of(source) == "def f(self):\n# note\n    return (1 +\n  2)"


def test_the_layout_of_a_docstring_is_taken_off_with_the_rest():
    source = 'class A:\n    def f(self):\n        """Doc.\n\n        More.\n        """\n'
    assert text_of(source) == 'def f(self):\n    """Doc.\n\n    More.\n    """'


@pytest.mark.parametrize(
    "docstring",
    [
        '"""Doc.\n  less\n        more"""',
        '"""Doc\\n.\n        more"""',
        '"""Doc \\\n        more"""',
    ],
)
def test_a_docstring_that_would_change_keeps_its_layout(docstring: str):
    source = f"class A:\n    def f(self):\n        {docstring}\n        return 1\n"
    assert same_function(source)


def test_a_docstring_that_begins_with_a_joined_line_loses_only_layout():
    source = 'class A:\n    def f(self):\n        """\\\n        Doc.\n\n        More."""\n'
    again = lift_functions(text_of(source))
    assert again[0].ir.intent == lift_functions(source)[0].ir.intent
    assert again[0].source == 'def f(self):\n    """\\\n    Doc.\n\n    More."""'


@pytest.mark.parametrize(
    "value",
    [
        "'''\n        a\n    b\n'''",
        '"""\n        a\n"""',
        "b'''\n        a'''",
        "f'''\n        {x}\n        '''",
        "f'''{x}\n        b'''",
        "'a\\\n        b'",
        "('''x''' '''\n        y''')",
        "g('''\n        a''', 1)",
    ],
)
@pytest.mark.parametrize("docstring", ["", "'''Doc.'''", "'Doc.'", "'''Doc.\n\n        '''"])
def test_strings_over_several_lines_keep_their_text(value: str, docstring: str):
    source = f"class A:\n    def f(self):\n        {docstring}\n        return {value}\n"
    found = ast.parse(source).body[0]
    assert isinstance(found, ast.ClassDef)
    (again,) = ast.parse(text_of(source)).body
    assert isinstance(again, ast.FunctionDef)
    assert isinstance(found.body[0], ast.FunctionDef)
    assert ast.dump(again.body[-1]) == ast.dump(found.body[0].body[-1])


def test_a_long_string_as_a_default_keeps_its_text():
    assert same_function("class A:\n    def f(self, x='''\n    a\n    '''):\n        return 1\n")


def test_any_line_end_counts_and_comes_back_as_one():
    source = "class A:\r    def f(self):\r\n        return '''\r        a\r\n'''\n"
    assert text_of(source) == "def f(self):\n    return '''\n        a\n'''"


def test_what_other_tools_take_for_a_line_end_is_none():
    source = "x = '\x0b\x1c\x85\u2028'\ndef f():\n    return '\u2029\x0c\x1d'\n"
    assert text_of(source) == "def f():\n    return '\u2029\x0c\x1d'"


def test_columns_count_bytes_and_text_does_not_care():
    assert text_of("class Ä:\n    def é(self): return 'ö'  # ü") == "def é(self): return 'ö'  # ü"


def test_a_source_without_a_last_line_end():
    assert text_of("def f(): return 1") == "def f(): return 1"


def test_lifted_functions_name_their_place():
    source = dedent("""
        class A:
            @d
            def f(self): pass
    """)
    (found,) = lift_functions(source, path="a.py")
    assert (found.qualified_name, found.line) == ("A.f", 4)
    assert (found.ir.metadata.qualified_name, found.ir.metadata.line) == ("A.f", 4)
    with pytest.raises(AttributeError):
        found.line = 1  # type: ignore[misc]  # the point of the test
