"""Calls answered from this process's own memory."""

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from lift_sys.backends.call import Call, User, WriteKey
from lift_sys.backends.errors import StoreClosedError

T = TypeVar("T")

Handler: TypeAlias = Callable[[str, Any, WriteKey | None], Any]
"""Answers one kind of call: is given the user's id, the call's arguments and its key.

It decides before it changes anything, so that raising leaves the data as they were (G6), and
keeps and returns values that cannot change, or that nobody else holds (G2).
"""


class MemoryBackend:
    """Carries calls to handlers, one at a time.

    Args:
        handlers: by name of the call; the data are theirs.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.origin = f"memory:{uuid.uuid4()}"
        self._handlers = handlers
        self._lock = threading.Lock()
        self._closed = False

    def execute(self, call: Call[T], user: User) -> T:
        """Carry out `call` and return its answer.

        Raises:
            StoreClosedError: the backend was closed.
            SessionStoreError: what the handler decided.
        """
        with self._lock:
            if self._closed:
                raise StoreClosedError("the store was closed; open a new one")
            answer: T = self._handlers[call.name](user.user_id, call.arguments, call.key)
            return answer

    def close(self) -> None:
        """Forget the data. Further calls raise ``StoreClosedError``."""
        with self._lock:
            self._closed = True
            self._handlers = {}
