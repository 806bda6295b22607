"""Fixtures that every kind of test may ask for; a server starts when the first test asks."""

pytest_plugins = ["tests.support.postgres", "tests.support.redis"]
