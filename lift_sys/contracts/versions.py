"""Reading rows that older releases wrote: typed steps from one version to the next.

Each row says in ``_version`` which major version its data conforms to; a row without it is of
version "1". A ``Versions`` chain holds the model of every version and the step that leads from
each to the next, so that the reader of the newest reads them all:

>>> from pydantic import BaseModel
>>> class DilemmaV1(BaseModel):
...     amount: str
>>> class DilemmaV2(BaseModel):
...     amount: int
>>> class Dilemma(BaseModel):
...     amount: int
...     currency: str

>>> def amount_to_number(old: DilemmaV1) -> DilemmaV2:
...     return DilemmaV2(amount=int(old.amount))
>>> def assume_euros(old: DilemmaV2) -> Dilemma:
...     return Dilemma(amount=old.amount, currency="EUR")

>>> dilemmas = (
...     Versions(DilemmaV1).then(DilemmaV2, amount_to_number).then(Dilemma, assume_euros)
... )
>>> dilemmas.read({"amount": "100"})
Dilemma(amount=100, currency='EUR')
>>> dilemmas.read({"_version": "2", "amount": 100})
Dilemma(amount=100, currency='EUR')
>>> dilemmas.write(Dilemma(amount=100, currency="CHF"))
{'_version': '3', 'amount': 100, 'currency': 'CHF'}

What a newer release wrote is an error, never a guess:

>>> dilemmas.read({"_version": "4", "amount": {"value": 100}})
Traceback (most recent call last):
...
lift_sys.contracts.errors.UnknownVersionError: the data has _version '4', and this reader knows \
1 to 3: it was written by a newer release, or is no version at all
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from lift_sys.contracts.errors import UnknownVersionError

VERSION_KEY: Final = "_version"

M = TypeVar("M", bound=BaseModel)
N = TypeVar("N", bound=BaseModel)


class Versions(Generic[M]):
    """The versions of one contract's data, 1 to n, of which ``M`` is the newest model.

    A chain never changes: ``then`` returns a longer one.

    Args:
        first: the model of version "1".
    """

    def __init__(self, first: type[M]) -> None:
        self._models: tuple[type[BaseModel], ...] = (first,)
        self._steps: tuple[Callable[[Any], Any], ...] = ()
        self._newest_model = first

    @property
    def newest(self) -> str:
        """The version that ``write`` writes."""
        return str(len(self._models))

    def then(self, model: type[N], upcast: Callable[[M], N]) -> "Versions[N]":
        """Return this chain with one more version.

        Args:
            model: the model of the next version.
            upcast: makes it from the model that is the newest so far.
        """
        longer = Versions(model)
        longer._models = (*self._models, model)
        longer._steps = (*self._steps, upcast)
        return longer

    def read(self, data: Mapping[str, Any]) -> M:
        """Return ``data``, of whatever version, as the newest model.

        Raises:
            UnknownVersionError: its ``_version`` is newer than this chain, or no version.
            pydantic.ValidationError: it does not conform to the version it says it has.
        """
        position = self._position(data.get(VERSION_KEY, "1"))
        content = {key: value for key, value in data.items() if key != VERSION_KEY}
        value: Any = self._models[position].model_validate(content)
        for upcast in self._steps[position:]:
            value = upcast(value)
        return self._newest_model.model_validate(value)

    def write(self, value: M) -> dict[str, Any]:
        """Return ``value`` as JSON values, with the newest version in ``_version``."""
        return {VERSION_KEY: self.newest, **value.model_dump(mode="json", by_alias=True)}

    def _position(self, version: object) -> int:
        known = [str(number) for number in range(1, len(self._models) + 1)]
        if version not in known:
            raise UnknownVersionError(version, self.newest)
        return known.index(str(version))
