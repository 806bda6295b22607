"""/tasks: submit, read, list, cancel."""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from api.cursor import read_cursor, write_cursor
from api.guard import caller
from api.smorest import Routes
from api.task_schemas import (
    CancelledSchema,
    SubmittedSchema,
    TaskListQuery,
    TaskListSchema,
    TaskSchema,
    WaitQuery,
    submission_schema,
)
from api.task_views import show_accepted, show_task, status_url
from orchestrator.errors import LedgerUnavailableError, NotFoundError
from orchestrator.intake.access import Scope
from orchestrator.intake.listing import list_page
from orchestrator.ledger.tasks import get_task
from orchestrator.tasks.status import TERMINAL

if TYPE_CHECKING:
    from api.bodies import RequestParser
    from api.guard import Caller
    from api.parts import Parts
    from orchestrator.intake.acceptance import Submission
    from orchestrator.intake.waiters import Wait
    from orchestrator.ledger.tasks import TaskRow


def task_routes(parts: Parts, parser: RequestParser) -> Routes:
    """Return the routes of tasks."""
    routes = Routes("tasks", "Submit, read, list and cancel tasks", parser)
    _add_submitting(routes, parts)
    _add_reading(routes, parts)
    _add_listing(routes, parts)
    _add_cancelling(routes, parts)
    return routes


def _add_submitting(routes: Routes, parts: Parts) -> None:
    submission = submission_schema(
        parts.acceptance.find_problems, timeout_ceiling_seconds=parts.limits.timeout_ceiling_seconds
    )

    @routes.add(
        "POST",
        "/tasks",
        "/tasks/create",
        scope=Scope.TASKS_SUBMIT,
        query=WaitQuery(),
        body=submission,
        answer=SubmittedSchema(),
        status=201,
        problems=(400, 413, 415, 422),
    )
    def submit(query: dict[str, Any], asked: Submission) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Submit a task."""
        who = caller()
        task = parts.acceptance.complete(asked, tenant=who.tenant, request_id=who.request_id)
        with parts.waiters.expect(task.id) if query["wait"] else nullcontext() as wait:
            accepted = parts.commits.submit(task, who.budget)
            row = _final_row(parts, who, wait, task.id, query["wait"]) if wait else None
        shown = show_accepted(accepted) if row is None else _show(parts, row)
        return shown, 201, {"Location": status_url(task.id)}


def _add_reading(routes: Routes, parts: Parts) -> None:
    @routes.add(
        "GET",
        "/tasks/<task_id>",
        scope=Scope.TASKS_READ,
        query=WaitQuery(),
        answer=TaskSchema(),
        problems=(404, 422),
    )
    def read(query: dict[str, Any], task_id: str) -> dict[str, Any]:
        """Read a task."""
        who, found_id = caller(), _task_id(task_id)
        with parts.waiters.expect(found_id) if query["wait"] else nullcontext() as wait:
            row = _read(parts, who, found_id, who.budget.require())
            if wait and row.status not in TERMINAL:
                row = _final_row(parts, who, wait, found_id, query["wait"]) or row
        return _show(parts, row)


def _add_listing(routes: Routes, parts: Parts) -> None:
    @routes.add(
        "GET",
        "/tasks",
        scope=Scope.TASKS_READ,
        query=TaskListQuery(),
        answer=TaskListSchema(),
        problems=(422,),
    )
    def listing(query: dict[str, Any]) -> dict[str, Any]:
        """List tasks, newest first."""
        who = caller()
        page = list_page(
            parts.ledger,
            who.tenant,
            who.budget,
            statuses=query["status"],
            agent_type=query["agent_type"],
            task_type=query["task_type"],
            limit=query["limit"],
            before_id=read_cursor(query["cursor"]) if query["cursor"] is not None else None,
        )
        agents = parts.registry.agents_if_known()
        return {
            "tasks": [show_task(row, agents) for row in page.rows],
            "count": len(page.rows),
            "next_cursor": write_cursor(page.rows[-1].id) if page.more else None,
        }


def _add_cancelling(routes: Routes, parts: Parts) -> None:
    def cancel(task_id: str) -> tuple[dict[str, Any], int]:
        """Cancel a task."""
        who, found_id = caller(), _task_id(task_id)
        if parts.cancelling.cancel(who.tenant, found_id, who.budget):
            message = "Task cancelled successfully"
            return {
                "message": message,
                "task_id": found_id,
                "status": "cancelled",
            }, 200
        row = _read(parts, who, found_id, parts.limits.request_seconds)
        message = "The wish to cancel is written down; the task's agent has not answered yet"
        return {"message": message, "task_id": found_id, "status": row.status, "cancel_requested": True}, 202

    for method, path in (("DELETE", "/tasks/<task_id>"), ("POST", "/tasks/<task_id>/cancel")):
        cancel.__name__ = f"cancel_by_{method.lower()}"
        routes.add(
            method,
            path,
            scope=Scope.TASKS_MANAGE,
            answer=CancelledSchema(),
            also={202: CancelledSchema()},
            problems=(404, 409),
        )(cancel)


def _task_id(text: str) -> uuid.UUID:
    """Return the id in a path. Raises NotFoundError for what can be no id of a task."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text.lower():
        raise NotFoundError("there is no such task", code="not_found")
    return found


def _read(parts: Parts, who: Caller, task_id: uuid.UUID, seconds: float) -> TaskRow:
    with parts.ledger.transaction(seconds) as connection:
        row = get_task(connection, who.tenant, task_id)
    if row is None:
        raise NotFoundError(f"there is no task {task_id}", code="not_found")
    return row


def _final_row(parts: Parts, who: Caller, wait: Wait, task_id: uuid.UUID, seconds: float) -> TaskRow | None:
    """Wait for the task; when it does not end in time, return how it stands, None if nobody can tell."""
    row = wait.result(seconds)
    if row is not None:
        return row
    try:
        return _read(parts, who, task_id, parts.limits.request_seconds)
    except LedgerUnavailableError:
        return None


def _show(parts: Parts, row: TaskRow) -> dict[str, Any]:
    return show_task(row, None if row.status in TERMINAL else parts.registry.agents_if_known())
