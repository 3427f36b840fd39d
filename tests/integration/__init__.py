"""The real thing: files, processes, signals, terminals."""
