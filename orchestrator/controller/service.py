"""The controller process: a leader does the work, any number of standbys wait for its lease to run out."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from typing import TYPE_CHECKING

import structlog

from orchestrator.controller.term import Term
from orchestrator.errors import UnavailableError
from orchestrator.ledger import leadership
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.migrate import require_schema

if TYPE_CHECKING:
    from orchestrator.broker.options import BrokerOptions
    from orchestrator.controller.options import ControllerOptions
    from orchestrator.ledger.options import LedgerOptions

RENEW_SECONDS = 1.0
STOP_SECONDS = 5.0

log = structlog.get_logger(__name__)


def run(ledger: LedgerOptions, broker: BrokerOptions, options: ControllerOptions) -> None:
    """Lead when the lease can be had, else stand by; return on SIGTERM or SIGINT.

    Raises SchemaMismatchError when the ledger's schema is not this program's.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    opened = Ledger(ledger, application_name="orchestrator-controller")
    _wait_for_schema(opened, stopping)
    Controller(opened, broker, options, stopping).run()


def _wait_for_schema(ledger: Ledger, stopping: threading.Event) -> None:
    """Return when the ledger answers and has this program's schema; a ledger that is away is waited for."""
    while not stopping.is_set():
        try:
            require_schema(ledger)
        except UnavailableError as error:
            log.warning("ledger_away", error=str(error))
            stopping.wait(RENEW_SECONDS)
        else:
            return


class Controller:
    """One controller process: holds the lease, and a Term while it does."""

    def __init__(
        self, ledger: Ledger, broker: BrokerOptions, options: ControllerOptions, stopping: threading.Event
    ) -> None:
        self._ledger, self._broker, self._options, self._stopping = ledger, broker, options, stopping
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._number: int | None = None
        self._term: Term | None = None
        self._renewed_at = 0.0

    def run(self) -> None:
        """Renew or seek the lease each second until told to stop."""
        while not self._stopping.is_set():
            try:
                self._lead() if self._term else self._seek()
            except UnavailableError as error:
                log.warning("ledger_away", error=str(error))
                if self._term and time.monotonic() - self._renewed_at > self._options.lease_seconds:
                    self._resign("the lease could not be renewed")
            self._stopping.wait(RENEW_SECONDS)
        self._resign("stopping")

    def _seek(self) -> None:
        started = time.monotonic()
        with self._ledger.transaction() as conn:
            number = leadership.acquire(conn, self._holder, self._options.lease_seconds)
        if number is None:
            return
        self._renewed_at, self._number = started, number
        self._term = Term(self._ledger, self._broker, self._options, holder=self._holder, term=number)
        self._term.start()
        log.info("leading", holder=self._holder, term=number)

    def _lead(self) -> None:
        started = time.monotonic()
        if self._number is None or self._term is None:
            return
        if self._term.over:
            self._resign("a pass of this term ended")
            return
        with self._ledger.transaction() as conn:
            kept = leadership.renew(conn, self._holder, self._number, self._options.lease_seconds)
        if kept:
            self._renewed_at = started
        else:
            self._resign("another controller took over")

    def _resign(self, why: str) -> None:
        if self._term is None or self._number is None:
            return
        log.info("leaving_office", term=self._number, why=why)
        self._term.stop(timeout_seconds=STOP_SECONDS)
        self._term = None
        try:
            with self._ledger.transaction() as conn:
                leadership.release(conn, self._holder, self._number)
        except UnavailableError as error:
            log.warning("lease_not_released", error=str(error))
