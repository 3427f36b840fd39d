"""The items of a session, and what of them is already stored.

A session's items are an ordinary list to its user. A store needs to know, without comparing ten
thousand items on each update (G18), whether the stored ones at its front are still what they were
(G5). So the list remembers what it overwrote.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, SupportsIndex, TypeAlias, TypeVar, get_args, overload

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


Change: TypeAlias = tuple[int, T, T | None]
"""An index, the item that stood there, and what stands there now: None past the end."""


def changes(current: "History[T]", stored: "History[T]", count: int) -> Iterable[Change[T]]:
    """Return where `current` differs from the first `count` items of `stored`, by index.

    Args:
        current: the items as they are now; the same list as `stored`, unless it was replaced.
        stored: the list whose first `count` items, as it was last settled, are stored.
        count: how many are stored.
    """
    if current is stored:
        return stored.overwritten(count)
    return _differences(stored.front(count), current)


def _differences(old: Sequence[T], new: Sequence[T]) -> Iterator[Change[T]]:
    for index, item in enumerate(old):
        now = new[index] if index < len(new) else None
        if now is not item and now != item:
            yield index, item, now


class History(list[T], Generic[T]):
    """The items of one kind, in the order they were added.

    Adding at the end is what it is for. Other changes are possible, as in any list, but a store
    refuses those that touch a stored item.
    """

    __slots__ = ("_before", "_overwritten")

    def __init__(self, items: Iterable[T] = ()) -> None:
        super().__init__(items)
        self._overwritten: dict[int, T] = {}
        self._before: tuple[T, ...] | None = None

    def overwritten(self, count: int) -> Iterable["Change[T]"]:
        """Return the changes among the first `count` items since the list was made or settled.

        Costs nothing where nothing but adding at the end was done.
        """
        if self._before is not None:
            return _differences(self._before[:count], self)
        return self._replaced(count) if self._overwritten else ()

    def _replaced(self, count: int) -> Iterator["Change[T]"]:
        for index in sorted(self._overwritten):
            old, new = self._overwritten[index], self[index]
            if index < count and old != new:
                yield index, old, new

    def front(self, count: int) -> list[T]:
        """Return the first `count` items as they were when the list was made or last settled."""
        if self._before is not None:
            return list(self._before[:count])
        items = list(self[:count])
        for index, old in self._overwritten.items():
            if index < count:
                items[index] = old
        return items

    def settle(self) -> None:
        """Take the list as it is now for what later changes are compared with."""
        self._overwritten.clear()
        self._before = None

    def __copy__(self) -> "History[T]":
        twin = History(self)
        twin._overwritten.update(self._overwritten)
        twin._before = self._before
        return twin

    def _restructured(self) -> None:
        if self._before is None:
            self._before = tuple(self.front(len(self)))

    @overload
    def __setitem__(self, index: SupportsIndex, value: T, /) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[T], /) -> None: ...
    def __setitem__(self, index: SupportsIndex | slice, value: Any, /) -> None:
        if isinstance(index, slice):
            self._restructured()
            super().__setitem__(index, value)
            return
        old = self[index]
        super().__setitem__(index, value)
        self._overwritten.setdefault(range(len(self))[index], old)

    def __delitem__(self, index: SupportsIndex | slice, /) -> None:
        self._restructured()
        super().__delitem__(index)

    def __imul__(self, count: SupportsIndex, /) -> "History[T]":
        self._restructured()
        super().__imul__(count)
        return self

    def insert(self, index: SupportsIndex, item: T, /) -> None:
        """Insert `item` before `index`, as in any list."""
        self._restructured()
        super().insert(index, item)

    def pop(self, index: SupportsIndex = -1, /) -> T:
        """Remove and return the item at `index`, as in any list."""
        self._restructured()
        return super().pop(index)

    def remove(self, item: T, /) -> None:
        """Remove the first item that equals `item`, as in any list."""
        self._restructured()
        super().remove(item)

    def clear(self) -> None:
        """Remove every item, as in any list."""
        self._restructured()
        super().clear()

    def sort(self, **options: Any) -> None:
        """Sort in place, as in any list."""
        self._restructured()
        super().sort(**options)

    def reverse(self) -> None:
        """Reverse in place, as in any list."""
        self._restructured()
        super().reverse()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (item,) = get_args(source)
        items = core_schema.list_schema(handler.generate_schema(item))
        return core_schema.no_info_after_validator_function(cls, items)
