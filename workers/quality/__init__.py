"""Scores of texts against references, their uncertainty, and pass or fail against thresholds.

No module here knows an agent or a task.
"""
