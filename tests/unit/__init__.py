"""One module at a time, without files or processes."""
