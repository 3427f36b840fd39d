"""The typed intermediate representation and the lifter."""
