"""Whether figures got worse: tests that allow for autocorrelation, effects, what could have been seen.

No module here knows an agent or a task.
"""
