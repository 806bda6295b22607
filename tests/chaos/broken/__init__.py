"""Builds that lack one rule each, to try the checker on: `apply` takes the rule away in the calling process."""
