"""Spec sessions: the models, the store protocols and the stores."""
