"""The passes of the leader, each on its own rhythm: run, time, report, never die."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.errors import LostLeadershipError, OrchestratorError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ERROR_CHARACTERS = 500

log = structlog.get_logger(__name__)


@dataclass
class Pass:
    """One kind of work, done every `every_seconds`; `run` returns a report (a dataclass) or None."""

    name: str
    every_seconds: float
    run: Callable[[], Any]
    due_at: float = 0.0


@dataclass
class Reports:
    """The last report of each pass, for the log and for `/health/system`."""

    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    _failing: set[str] = field(default_factory=set)

    def run(self, one: Pass, *, now: float) -> bool:
        """Run a pass that is due and keep its report; False if it could not do its work.

        LostLeadershipError goes through: the term is over, and so is every pass of it.
        """
        if now < one.due_at:
            return True
        one.due_at = now + one.every_seconds
        started = time.monotonic()
        try:
            report = one.run()
        except LostLeadershipError:
            raise
        except UnavailableError as error:
            self._put_off(one.name, started, str(error)[:MAX_ERROR_CHARACTERS])
            return False
        except Exception as error:
            self._keep(
                one.name, started, {"error": f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]}
            )
            log.exception("pass_failed", name=one.name, ours=isinstance(error, OrchestratorError))
            return False
        self._done(one.name, started, report)
        return True

    def _done(self, name: str, started: float, report: Any) -> None:
        fields = _as_dict(report)
        self._keep(name, started, fields)
        if name in self._failing:
            self._failing.discard(name)
            log.info("pass_works_again", name=name)
        tell = log.info if getattr(report, "notable", False) else log.debug
        tell("pass_done", name=name, **fields)

    def _put_off(self, name: str, started: float, error: str) -> None:
        """Say once, not at every try, that a pass cannot do its work."""
        self._keep(name, started, {"error": error})
        tell = log.debug if name in self._failing else log.warning
        self._failing.add(name)
        tell("pass_put_off", name=name, error=error)

    def _keep(self, name: str, started: float, report: dict[str, Any]) -> None:
        self.last[name] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "took_ms": round((time.monotonic() - started) * 1000, 1),
            "report": report,
        }


def _as_dict(report: Any) -> dict[str, Any]:
    return (
        dataclasses.asdict(report)
        if dataclasses.is_dataclass(report) and not isinstance(report, type)
        else {}
    )
