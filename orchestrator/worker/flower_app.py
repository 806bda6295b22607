"""The Celery application that Flower looks through: the workers' transport settings, and no task."""

from __future__ import annotations

import os

from celery import Celery

from orchestrator.broker.options import BrokerOptions, with_redis_url
from orchestrator.environment import read
from orchestrator.worker import transport
from orchestrator.worker.app import celery_settings


def build() -> Celery:
    """Return the application, with Redis as the environment names it. Raises SettingsError."""
    (broker,) = read(BrokerOptions, environ=with_redis_url(os.environ))
    transport.register()
    app = Celery("flower", set_as_current=False)
    app.conf.update(celery_settings(broker.redis_url))
    return app
