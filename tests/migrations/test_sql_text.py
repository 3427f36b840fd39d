"""Files are taken apart at the semicolons that end a statement, and at no other."""

import pytest

from lift_sys.backends.sql_text import split_statements


def texts(sql: str) -> list[str]:
    return [statement.text for statement in split_statements(sql)]


@pytest.mark.parametrize(
    "statement",
    [
        "select 'a;b', 'it''s; fine'",
        r"select E'a\';b'",
        r"select 'a\'",
        'select 1 as "col;umn", 2 as "qu""ote;"',
        "select $$ ; $$",
        "select $a$ ; $b$ ; $$ ; $a$",
        "select 1 as x$a$",
        "select 1 -- tail ; comment",
        "/* outer; /* inner; */ still; */ select 1",
        "create rule r as on delete to t do also (select 1; select 2)",
        "create function f() returns int begin atomic select case x when 1 then 2 end; end",
        "create view v as select case when true then 1 else 2 end as begin",
        "do $$begin perform 1; end$$",
        "-- only a comment;",
    ],
)
def test_a_semicolon_inside_ends_nothing(statement: str) -> None:
    assert texts(f"select 0;\n{statement}\n; select 9") == ["select 0", statement, "select 9"]


@pytest.mark.parametrize(
    "statement", ["select 'open; ", "select E'open; ", 'select "open; ', "do $x$open; ", "/*open; "]
)
def test_what_is_never_closed_runs_to_the_end(statement: str) -> None:
    assert texts(f"select 0; {statement}") == ["select 0", statement.strip()]


def test_empty_statements_are_left_out() -> None:
    assert texts(" ;; select 1 ; \r\n ;\n") == ["select 1"]
    assert texts("") == []


def test_the_keyword_is_the_first_word_behind_comments() -> None:
    statements = split_statements("-- commit\n/* begin */ SELECT 1; (select 2); -- nothing")
    assert [statement.keyword for statement in statements] == ["select", "(", ""]
