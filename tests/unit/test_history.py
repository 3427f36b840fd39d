"""A history is a list that knows what of it was changed since it was stored."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.spec_sessions.history import History, changes

CHANGES: dict[str, Callable[[list[int]], object]] = {
    "set": lambda x: x.__setitem__(1, 9),
    "set from the end": lambda x: x.__setitem__(-1, 9),
    "set a slice": lambda x: x.__setitem__(slice(0, 2), [7, 8, 9]),
    "delete": lambda x: x.__delitem__(0),
    "delete a slice": lambda x: x.__delitem__(slice(0, 2)),
    "insert": lambda x: x.insert(0, 9),
    "pop": lambda x: x.pop(),
    "pop the first": lambda x: x.pop(0),
    "remove": lambda x: x.remove(2),
    "clear": lambda x: x.clear(),
    "sort": lambda x: x.sort(key=lambda n: -n),
    "reverse": lambda x: x.reverse(),
    "multiply by nothing": lambda x: x.__imul__(0),
}
ADDITIONS: dict[str, Callable[[list[int]], object]] = {
    "append": lambda x: x.append(4),
    "extend": lambda x: x.extend([4, 5]),
    "add in place": lambda x: x.__iadd__([4, 5]),
    "multiply": lambda x: x.__imul__(2),
    "insert at the end": lambda x: x.insert(3, 4),
    "set an empty slice at the end": lambda x: x.__setitem__(slice(3, None), [4]),
    "nothing": lambda _: None,
}


def changed(history: History[int], count: int = 3) -> list[tuple[int, int, int | None]]:
    return list(changes(history, history, count))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_acts_as_on_a_list_and_is_known(change: Any) -> None:
    history, plain = History([1, 2, 3]), [1, 2, 3]
    assert change(history) == change(plain)
    assert list(history) == plain
    assert type(history) is History
    assert changed(history) == [
        (i, old, new)
        for i, old in enumerate([1, 2, 3])
        if (new := plain[i] if i < len(plain) else None) != old
    ] != []  # fmt: skip
    assert history.front(3) == [1, 2, 3]


@pytest.mark.parametrize("change", ADDITIONS.values(), ids=ADDITIONS)
def test_adding_at_the_end_is_no_change(change: Any) -> None:
    history, plain = History([1, 2, 3]), [1, 2, 3]
    change(history)
    change(plain)
    assert history == plain
    assert changed(history) == []
    assert history.front(3) == [1, 2, 3]


def test_a_refused_change_is_none() -> None:
    history = History([1, 2, 3])
    with pytest.raises(IndexError):
        history[3] = 4
    with pytest.raises(IndexError):
        History[int]().pop()
    with pytest.raises(ValueError, match="not in list"):
        history.remove(9)
    with pytest.raises(TypeError):
        history["x"] = 1  # type: ignore[call-overload]  # as a careless caller would
    assert changed(history) == []


def test_what_is_put_back_is_no_change() -> None:
    history = History([1, 2, 3])
    history[0] = 9
    history[0] = 1
    history.insert(0, 0)
    del history[0]
    assert changed(history) == []


def test_changes_past_what_is_stored_do_not_count() -> None:
    history = History([1, 2, 3])
    history.append(4)
    history[3] = 5
    history.pop()
    assert changed(history) == []


def test_settling_forgets_the_past() -> None:
    history = History([1, 2, 3])
    history[0] = 9
    history.reverse()
    history.settle()
    assert changed(history) == []
    assert history.front(3) == [3, 2, 9]


def test_a_list_in_the_place_of_the_stored_one_is_compared() -> None:
    stored = History([1, 2, 3])
    assert list(changes(History([1, 2, 3, 4]), stored, 3)) == []
    assert list(changes(History([1, 9]), stored, 3)) == [(1, 2, 9), (2, 3, None)]
    stored[0] = 9
    assert list(changes(History([9, 2, 3]), stored, 3)) == [(0, 1, 9)]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))]
)
@pytest.mark.parametrize("change", [lambda h: h.__setitem__(0, 9), lambda h: h.reverse()])
def test_a_copy_knows_its_own_changes_and_no_others(copied: Any, change: Any) -> None:
    history = History([1, 2, 3])
    change(history)
    twin = copied(history)
    assert (type(twin), twin) == (History, history)
    assert changed(twin) == changed(history) != []
    twin[1] = 7
    twin.append(4)
    assert (1, 2, 7) not in changed(history)
    assert history.front(3) == twin.front(3) == [1, 2, 3]
    twin.settle()
    assert changed(history) != []


indices = st.integers(-6, 6)
steps = st.one_of(
    st.tuples(st.just("append"), st.integers()),
    st.tuples(st.just("set"), indices, st.integers()),
    st.tuples(st.just("set slice"), indices, indices, st.lists(st.integers(), max_size=3)),
    st.tuples(st.just("delete"), indices),
    st.tuples(st.just("delete slice"), indices, indices),
    st.tuples(st.just("insert"), indices, st.integers()),
    st.tuples(st.just("pop"), indices),
    st.tuples(st.just("multiply"), st.integers(0, 2)),
    st.tuples(st.just("reverse")),
    st.tuples(st.just("sort")),
    st.tuples(st.just("settle")),
)


def take(step: tuple[Any, ...], items: list[int]) -> None:
    """Make the step on a plain list or a history, which fail alike."""
    kind, *arguments = step
    match kind:
        case "append":
            items.append(arguments[0])
        case "set":
            items[arguments[0]] = arguments[1]
        case "set slice":
            items[arguments[0] : arguments[1]] = arguments[2]
        case "delete":
            del items[arguments[0]]
        case "delete slice":
            del items[arguments[0] : arguments[1]]
        case "multiply":
            items *= arguments[0]
        case "settle":
            pass
        case _:
            getattr(items, kind)(*arguments)


@given(st.lists(st.integers(), max_size=5), st.lists(steps, max_size=12))
def test_any_program_leaves_it_as_it_leaves_a_list_and_knows_the_difference(
    start: list[int], program: list[tuple[Any, ...]]
) -> None:
    history, plain, stored = History(start), list(start), list(start)
    for step in program:
        outcomes = []
        for items in (history, plain):
            try:
                take(step, items)
            except IndexError:
                outcomes.append("IndexError")
            else:
                outcomes.append("done")
        assert outcomes[0] == outcomes[1]
        if step[0] == "settle":
            history.settle()
            stored = list(plain)
    assert history == plain
    count = len(stored)
    assert history.front(count) == stored
    assert changed(history, count) == [
        (i, old, plain[i] if i < len(plain) else None)
        for i, old in enumerate(stored)
        if i >= len(plain) or plain[i] != old
    ]
