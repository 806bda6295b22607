"""The local stack, for real."""
