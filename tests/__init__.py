"""The tests: unit, integration with real files and processes, benchmarks."""
