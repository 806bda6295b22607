"""Accepting, waiting and cancelling: what an API process does with a request. Knows no Flask."""
