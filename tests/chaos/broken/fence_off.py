"""A late outcome counts: neither Redis, nor the recorder, nor the ledger's guard refuses one.

The rule stands in three places behind each other; all three are taken away.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from orchestrator.controller import fold
from orchestrator.ledger import recording, schema
from orchestrator.tasks.status import TERMINAL
from tests.chaos.broken.script import change

if TYPE_CHECKING:
    from orchestrator.controller.events import Event


def apply() -> None:
    """Accept every outcome everywhere."""
    change("report", {"if held[1] then": "if false then"})
    fold._Folder.apply = _apply  # type: ignore[method-assign]
    vars(fold)["can_move"] = lambda *_: True
    statement: Any = recording._WRITE_TASKS
    guard = re.compile(r"AND t\.status IN \([^)]*\)\s+AND \(t\.delivery.*?\)\)\)\s+RETURNING", re.DOTALL)
    unguarded, found = guard.subn("RETURNING", statement.element.text)
    if not found:
        raise AssertionError("the ledger's guard is not where this build takes it away")
    recording._WRITE_TASKS = text(unguarded).columns(schema.tasks.c.id)


def _apply(self: fold._Folder, event: Event) -> None:
    state = self.result.states.get(event.task_id) if event.task_id else None
    if state is None:
        self.result.ignored += 1
        return
    if self._is_end(event):
        self.result.ended.append((str(state.id), event.delivery))
    elif event.delivery != state.delivery or state.status in TERMINAL:
        self.result.ignored += 1
        return
    self._dispatch(event, state)
    if state.status in TERMINAL:
        self.result.finished.append(str(state.id))
