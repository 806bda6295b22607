"""The whole system on one machine, in one terminal: for development and tests."""
