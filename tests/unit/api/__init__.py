"""The tests of the application server that need no other process."""
