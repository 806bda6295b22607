"""Faults are injected into a whole running system, and a checker judges what became of its tasks."""
