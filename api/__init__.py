"""The HTTP edge: parse, one use case, answer."""
