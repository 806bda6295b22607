"""The orchestrator from Python, over HTTP.

    client = Client()
    task = client.submit("cost", "analyze_cost", {"account_id": "123"})
    print(task.wait(timeout_seconds=30).result)

Errors, by who can act:

OrchestratorError
├── RejectedError           change the request; `code` and `fields` say what
│   ├── AccessDeniedError   use another key
│   ├── NotFoundError       no such task or agent
│   └── ConflictError       the task's state does not allow it
├── UnavailableError        wait and try again
│   └── WaitTimeoutError    the task has not ended yet; `task` is how it stands
├── SettingsError           say where the orchestrator is
└── ServerFaultError        a bug of the server; its log has the request id
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx

from orchestrator.errors import (
    ConflictError,
    NotFoundError,
    OrchestratorError,
    RejectedError,
    SettingsError,
    UnavailableError,
)
from orchestrator.tasks.status import TERMINAL, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Self

URL_NAME = "ORCHESTRATOR_URL"
KEY_NAME = "ORCHESTRATOR_API_KEY"
CONNECTION_FILE = Path(".orchestrator") / "connection.json"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
HELD_SECONDS = 20.0
"""How long one request of a wait is held by the server."""
RETRY_SECONDS = 0.5
PAGE = 200
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


class AccessDeniedError(RejectedError):
    """The key is missing, not valid, or does not allow this."""


class ServerFaultError(OrchestratorError):
    """The server answered something that it never should."""


class WaitTimeoutError(UnavailableError):
    """The task did not end in time; `task` is how it stands."""

    def __init__(self, task: Task) -> None:
        reason = f", waiting for {task.waiting_for}" if task.waiting_for else ""
        super().__init__(f"task {task.task_id} has not ended yet: it is {task.status}{reason}")
        self.task = task


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it was last read. After a submission only what its answer says is known."""

    task_id: str
    status: Status
    agent_type: str
    task_type: str
    agent_id: str | None = None
    created_at: str | None = None
    result: Any = None
    error: str | None = None
    error_code: str | None = None
    progress: dict[str, Any] | None = None
    waiting_for: str | None = None
    attempt: int = 0
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    """Everything that the server said of it."""
    client: Client | None = field(default=None, repr=False, compare=False)

    @property
    def ended(self) -> bool:
        """Whether it has its outcome."""
        return self.status in TERMINAL

    def wait(self, *, timeout_seconds: float) -> Task:
        """Return the task once it has ended, however it ended. Raises WaitTimeoutError."""
        return self._client().wait(self.task_id, timeout_seconds=timeout_seconds)

    def refresh(self) -> Task:
        """Return the task as it is now."""
        return self._client().get(self.task_id)

    def cancel(self) -> bool:
        """Cancel; see Client.cancel."""
        return self._client().cancel(self.task_id)

    def _client(self) -> Client:
        if self.client is None:
            raise SettingsError("this task was not read by a client")
        return self.client


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """An agent as the registry shows it."""

    agent_id: str
    agent_type: str
    status: str
    version: str | None
    running: int
    slots: int | None
    task_types: tuple[str, ...]
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


class Client:
    """Speaks to one orchestrator; may be shared by threads. Every call is bounded in time."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Use what is given, else ORCHESTRATOR_URL and ORCHESTRATOR_API_KEY, else the running local stack.

        Raises SettingsError if none of them says where the orchestrator is.
        """
        found_url, key = locate(url, api_key, os.environ, CONNECTION_FILE)
        self._answer_seconds = answer_seconds
        self._http = httpx.Client(
            base_url=found_url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            transport=transport,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        agent_type: str,
        task_type: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        wait_seconds: float = 0,
        agent_id: str | None = None,
        priority: int | None = None,
        timeout_seconds: int | None = None,
        max_retries: int | None = None,
        retry_delay_seconds: float | None = None,
        delay_seconds: float | None = None,
        run_at: datetime | None = None,
        expires_seconds: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Task:
        """Submit a task; with `wait_seconds` (0 to 60) return it once it has ended or they have passed.

        What is not given holds as its agent declared it. Never repeated by itself: after an UnavailableError
        look the tasks up before you submit again. Raises RejectedError with every bad field.
        """
        body = {
            "agent_type": agent_type,
            "task_type": task_type,
            "parameters": dict(parameters or {}),
            "agent_id": agent_id,
            "priority": priority,
            "timeout_seconds": timeout_seconds,
            "max_retries": max_retries,
            "retry_delay_seconds": retry_delay_seconds,
            "delay_seconds": delay_seconds,
            "run_at": run_at.isoformat() if run_at else None,
            "expires_seconds": expires_seconds,
            "metadata": dict(metadata) if metadata else None,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return self._task(self._call("POST", "/tasks", body=given, held_seconds=wait_seconds))

    def get(self, task_id: str, *, wait_seconds: float = 0) -> Task:
        """Return a task. Raises NotFoundError."""
        return self._task(self._call("GET", _task_path(task_id), held_seconds=wait_seconds))

    def wait(self, task_id: str, *, timeout_seconds: float) -> Task:
        """Return the task once it has ended, however it ended. Outages within the time are waited out.

        Raises WaitTimeoutError, UnavailableError when the last word was an outage, NotFoundError.
        """
        ends_at = time.monotonic() + timeout_seconds
        while True:
            left = max(0.0, ends_at - time.monotonic())
            try:
                task = self.get(task_id, wait_seconds=min(left, HELD_SECONDS))
            except UnavailableError:
                if time.monotonic() + RETRY_SECONDS >= ends_at:
                    raise
                time.sleep(RETRY_SECONDS)
                continue
            if task.ended:
                return task
            if time.monotonic() >= ends_at:
                raise WaitTimeoutError(task)

    def tasks(
        self,
        *,
        status: str | Iterable[str] = (),
        agent_type: str | None = None,
        task_type: str | None = None,
        limit: int = 50,
    ) -> list[Task]:
        """Return at most `limit` tasks, newest first."""
        statuses = [status] if isinstance(status, str) else list(status)
        asked = [("status", item) for item in statuses]
        asked += [
            (name, value) for name, value in (("agent_type", agent_type), ("task_type", task_type)) if value
        ]
        found: list[Task] = []
        cursor: str | None = None
        while len(found) < limit:
            page = [*asked, ("limit", str(min(PAGE, limit - len(found))))]
            answer = self._call("GET", "/tasks", params=[*page, ("cursor", cursor)] if cursor else page)
            found += [self._task(item) for item in answer["tasks"]]
            cursor = answer["next_cursor"]
            if cursor is None:
                break
        return found

    def cancel(self, task_id: str) -> bool:
        """Cancel a task: True when it is cancelled, False when its agent has not answered yet.

        Raises ConflictError for one that has ended otherwise, NotFoundError.
        """
        answer = self._call("DELETE", _task_path(task_id))
        return bool(answer["status"] == Status.CANCELLED)

    def agents(self) -> list[AgentInfo]:
        """Return every registered agent."""
        return [_agent(item) for item in self._call("GET", "/agents/list")["agents"]]

    def capabilities(self) -> list[dict[str, Any]]:
        """Return every capability that was ever registered, with the JSON Schema of its parameters."""
        return cast("list[dict[str, Any]]", self._call("GET", "/discovery/capabilities")["capabilities"])

    def _task(self, item: dict[str, Any]) -> Task:
        names = ("result", "error", "error_code", "progress", "waiting_for", "agent_id", "created_at")
        return Task(
            task_id=item["task_id"],
            status=Status(item["status"]),
            agent_type=item["agent_type"],
            task_type=item["task_type"],
            attempt=item.get("attempt", 0),
            raw=item,
            client=self,
            **{name: item.get(name) for name in names},
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: list[tuple[str, str]] | None = None,
        body: dict[str, Any] | None = None,
        held_seconds: float = 0,
    ) -> dict[str, Any]:
        query = [*(params or []), *([("wait", f"{held_seconds:g}")] if held_seconds else [])]
        timeout = httpx.Timeout(self._answer_seconds + held_seconds, connect=CONNECT_SECONDS)
        try:
            response = self._http.request(
                method, path, params=httpx.QueryParams(tuple(query)), timeout=timeout, **_encoded(body)
            )
        except httpx.TimeoutException as error:
            raise UnavailableError(f"no answer from {self._http.base_url} in time") from error
        except httpx.HTTPError as error:
            raise UnavailableError(f"cannot speak to {self._http.base_url}: {error}") from error
        return _read(response)


def _encoded(body: dict[str, Any] | None) -> dict[str, Any]:
    """Return the body as ASCII JSON, which carries every text that Python can hold; httpx's own cannot."""
    if body is None:
        return {}
    return {"content": json.dumps(body, allow_nan=False), "headers": {"Content-Type": "application/json"}}


def locate(
    url: str | None, api_key: str | None, environ: Mapping[str, str], connection_file: Path
) -> tuple[str, str | None]:
    """Return where the orchestrator is and the key to show.

    The local stack's own key is shown to the local stack only. Raises SettingsError.
    """
    url = url or environ.get(URL_NAME) or None
    api_key = api_key or environ.get(KEY_NAME) or None
    if url is None or api_key is None:
        stack_url, stack_key = _local_stack(connection_file)
        if url is None and stack_url is None:
            raise SettingsError(
                f"where is the orchestrator? Set {URL_NAME} and {KEY_NAME}, or start one: orchestrator up"
            )
        url = url or cast("str", stack_url)
        if api_key is None and stack_url is not None and url.rstrip("/") == stack_url.rstrip("/"):
            api_key = stack_key
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"{URL_NAME} must begin with http:// or https://, not {url!r}")
    return url, api_key


def _local_stack(connection_file: Path) -> tuple[str | None, str | None]:
    try:
        said = json.loads(connection_file.read_text(encoding="utf-8"))
        return str(said["url"]), str(said["api_key"])
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{connection_file} cannot be read: {error}") from error


def _task_path(task_id: str) -> str:
    """Return where a task is read. Raises NotFoundError for what can be no id."""
    if not _ID.fullmatch(task_id):
        raise NotFoundError(f"there is no task {task_id!r}", code="not_found")
    return f"/tasks/{task_id}"


def _read(response: httpx.Response) -> dict[str, Any]:
    try:
        said = response.json()
    except ValueError:
        said = None
    if response.is_success and isinstance(said, dict):
        return said
    problem = said if isinstance(said, dict) else {}
    detail = str(problem.get("error") or f"HTTP {response.status_code} without a reason")
    code = str(problem.get("code", "unknown"))
    fields = problem.get("errors") if isinstance(problem.get("errors"), dict) else {}
    match response.status_code:
        case 401 | 403:
            raise AccessDeniedError(detail, code=code)
        case 404:
            raise NotFoundError(detail, code=code)
        case 409:
            raise ConflictError(detail, code=code)
        case 408 | 429 | 502 | 503 | 504:
            raise UnavailableError(detail)
        case status if 400 <= status < 500:  # noqa: PLR2004 - the client's errors
            raise RejectedError(detail, code=code, fields=fields)
        case status:
            request_id = response.headers.get("X-Request-ID", "none")
            raise ServerFaultError(f"the server answered {status}: {detail} (request id {request_id})")


def _agent(item: dict[str, Any]) -> AgentInfo:
    return AgentInfo(
        agent_id=item["agent_id"],
        agent_type=item["agent_type"],
        status=item["status"],
        version=item.get("version"),
        running=item.get("running", 0),
        slots=item.get("slots"),
        task_types=tuple(capability["task_type"] for capability in item.get("capabilities", [])),
        raw=item,
    )
