"""What `celery -A orchestrator.worker.flower flower` names: an entry point, so it reads the environment."""

from orchestrator.worker.flower_app import build

app = build()
