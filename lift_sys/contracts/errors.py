"""The errors of the contract tools; each says in one line what is wrong and where."""


class ContractError(ValueError):
    """A schema cannot serve as a contract, or not for what its metadata asks.

    Attributes:
        file: the contract's path as shown to people, relative to where the contracts lie.
        pointer: the JSON pointer of the offending place; empty for the file as a whole.
        reason: what is wrong there, and where it helps, what to write instead.
    """

    def __init__(self, file: str, pointer: str, reason: str) -> None:
        super().__init__(f"{file}#{pointer}: {reason}" if pointer else f"{file}: {reason}")
        self.file = file
        self.pointer = pointer
        self.reason = reason


class UnknownVersionError(ValueError):
    """Stored data has a ``_version`` that this reader was not written for.

    Attributes:
        found: the version in the data.
        newest: the newest version the reader knows.
    """

    def __init__(self, found: object, newest: str) -> None:
        super().__init__(
            f"the data has _version {found!r}, and this reader knows 1 to {newest}: "
            "it was written by a newer release, or is no version at all"
        )
        self.found = found
        self.newest = newest
