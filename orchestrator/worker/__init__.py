"""An agent's process: a Celery worker whose runs are claimed, watched, and reported through Redis."""
