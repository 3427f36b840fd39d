"""What a check finds: one record for people and machines alike."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is; only an error makes a check fail."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One way in which contracts, migrations and the database disagree.

    Attributes:
        code: the kind of finding, in kebab-case; stable, for scripts.
        severity: how bad it is.
        where: the contract, table, column or file that it is about.
        message: what was found.
        remedy: what to do about it.
    """

    code: str
    severity: Severity
    where: str
    message: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)
