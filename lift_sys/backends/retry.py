"""One way to try again: exponential backoff with full jitter, inside a time budget (G14)."""

from collections.abc import Callable, Iterator

from tenacity import (
    AttemptManager,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

FIRST_PAUSE = 0.01
"""The longest first pause, in seconds; it doubles with each attempt."""
LONGEST_PAUSE = 2.0
"""No pause is longer, in seconds."""


def retrying(
    budget: float, kind: type[BaseException], *, when: Callable[[BaseException], bool]
) -> Iterator[AttemptManager]:
    """Yield attempts until one succeeds or the budget is spent; then its error is raised.

    Args:
        budget: how long to go on, in seconds.
        kind: which exceptions can be worth another attempt.
        when: which of them are.
    """
    yield from Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, kind) and when(error)),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        stop=stop_after_delay(budget),
        reraise=True,
    )
