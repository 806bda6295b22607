"""The same script for a plain Celery with acks_late on Redis: what the orchestrator is compared with."""
