"""lift-sys: spec sessions, from a first prompt or existing code to a final specification."""
