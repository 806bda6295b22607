"""The entry of gunicorn: `gunicorn -c python:api.gunicorn "api.wsgi:build()"`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import gevent
import structlog

from api.app import create_app
from api.background import Background
from api.gunicorn import BACKGROUND
from api.parts import HttpLimits, assemble
from api.problems import BodyTimeoutError
from config.logging import configure
from config.settings import load
from orchestrator.broker.gateway import Broker
from orchestrator.errors import LedgerConflictError, LedgerUnavailableError
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.migrate import require_schema

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from flask import Flask

log = structlog.get_logger()


def build() -> Flask:
    """Return the application on the servers that the environment names, with its background at work.

    For a gevent worker whose psycopg2 waits are patched (api/gunicorn.py does both). A ledger that is away
    does not keep it from starting; one of another schema does. Raises SettingsError, SchemaMismatchError.
    """
    settings = load(os.environ)
    configure(settings.log, service="api")
    ledger = Ledger(settings.ledger, application_name="orchestrator-api", deadline=gevent.Timeout)
    _refuse_other_schema(ledger)
    parts = assemble(
        ledger,
        Broker(settings.broker),
        settings.intake,
        HttpLimits(
            body_bytes=settings.api.body_limit_bytes,
            timeout_ceiling_seconds=settings.api.timeout_ceiling_seconds,
            request_seconds=settings.intake.request_seconds,
        ),
        body_deadline=_body_deadline,
    )
    app = create_app(parts)
    background = Background(parts)
    app.extensions[BACKGROUND] = background
    background.start()
    return app


def _refuse_other_schema(ledger: Ledger) -> None:
    try:
        require_schema(ledger)
    except (LedgerUnavailableError, LedgerConflictError) as error:
        log.warning("schema_unchecked", reason=str(error))


def _body_deadline(seconds: float) -> AbstractContextManager[Any]:
    timeout: AbstractContextManager[Any] = gevent.Timeout(
        seconds, BodyTimeoutError("the body did not arrive in time", code="body_timeout")
    )
    return timeout
