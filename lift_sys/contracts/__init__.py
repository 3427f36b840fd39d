"""Contracts: JSON Schema files from which migrations follow, and against which they are checked."""
