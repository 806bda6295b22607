"""Builds that lack one rule each, to try the checker on: `apply` takes it away in the calling process."""
