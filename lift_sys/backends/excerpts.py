"""What a message shows of a text that may be of any length."""


def excerpt(text: str, length: int = 40) -> str:
    """Return `text`, or its beginning and dots where it is longer than `length` characters."""
    return text if len(text) <= length else f"{text[: length - 3]}..."
