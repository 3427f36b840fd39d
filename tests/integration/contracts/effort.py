"""How hard generated tests try: ``LIFT_SYS_TEST_EFFORT=20`` makes it 20 times as many cases."""

import os

_EFFORT = int(os.environ.get("LIFT_SYS_TEST_EFFORT", "1"))


def examples(count: int) -> int:
    """Return how many cases to generate where ``count`` are enough every day."""
    return count * _EFFORT
