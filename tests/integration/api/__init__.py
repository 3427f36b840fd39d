"""The tests of the application server as a process of its own."""
