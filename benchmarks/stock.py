"""The peer: plain Celery on Redis as its documentation recommends it for tasks that must not be lost."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("stock", broker=os.environ["STOCK_REDIS_URL"], backend=os.environ["STOCK_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
)


@app.task(name="stock.noop")
def noop() -> None:
    """Do nothing."""
