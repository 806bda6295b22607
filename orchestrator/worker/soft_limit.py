"""When the soft time limit's signal may interrupt a pool child."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import SIG_SOFT_TIMEOUT

if TYPE_CHECKING:
    from types import FrameType


class SoftLimit:
    """Lets SoftTimeLimitExceeded be raised only while a claim is asked for or a handler runs.

    Billiard's own handler raises wherever the child happens to be: between a handler's return and its report
    that would throw a good outcome away.
    """

    def __init__(self) -> None:
        self._open = False
        self._installed = False

    def open(self) -> None:
        """From here on the limit may interrupt."""
        if not self._installed:
            signal.signal(SIG_SOFT_TIMEOUT, self._strike)
            self._installed = True
        self._open = True

    def close(self) -> None:
        """From here on it may not; a signal that comes late changes nothing."""
        self._open = False

    def _strike(self, _signum: int, _frame: FrameType | None) -> None:
        if self._open:
            self._open = False
            raise SoftTimeLimitExceeded
