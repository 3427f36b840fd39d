"""Deliberately wrong stores: the contract suite must catch every one of them."""

from tests.contract.wrong_stores import lists, users, values, writes
from tests.contract.wrong_stores.registry import WRONG, Wrong

__all__ = ["WRONG", "Wrong", "lists", "users", "values", "writes"]
