"""The schema itself: isolation, concurrency, checkers, and every way it is applied."""
