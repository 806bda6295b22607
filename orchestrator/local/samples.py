"""One sample task of every task type: submitted, waited for, shown."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from orchestrator.local.errors import StackError
from orchestrator.tasks.status import TERMINAL

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.data_dir import Connection
    from orchestrator.local.screen import Screen
    from orchestrator.local.supervisor import Supervisor

SAMPLE_SECONDS = 120.0
REQUEST_SECONDS = 5.0
SHOWN_CHARACTERS = 70


@dataclass(slots=True)
class Sample:
    """A sample task and what became of it."""

    name: str
    file: Path
    body: dict[str, object]
    task_id: str = ""
    status: str = "pending"
    result: str = ""
    ended_after: float | None = None

    def row(self) -> tuple[str, str, str, str]:
        """Return it as a line of the table."""
        seconds = f"{self.ended_after:.2f}" if self.ended_after is not None else ""
        return self.name, self.status, seconds, self.result[:SHOWN_CHARACTERS]


def find(folder: Path) -> list[Sample]:
    """Return the samples in `<agent_type>/<task_type>.json`. Raises StackError for what is no JSON object."""
    samples = []
    for file in sorted(folder.glob("*/*.json")):
        try:
            body = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise StackError(f"the sample {file} cannot be read: {error}") from error
        if not isinstance(body, dict):
            raise StackError(f"the sample {file} is no JSON object")
        samples.append(Sample(f"{file.parent.name}.{file.stem}", file, body))
    return samples


class Samples:
    """Runs the samples against a stack that is up."""

    def __init__(self, folder: Path, connection: Connection, supervisor: Supervisor, screen: Screen) -> None:
        self._samples = find(folder)
        self._connection = connection
        self._supervisor = supervisor
        self._screen = screen
        self._client = httpx.Client(
            base_url=connection.url,
            headers={"Authorization": f"Bearer {connection.api_key}"},
            timeout=REQUEST_SECONDS,
            trust_env=False,
        )

    def run(self) -> None:
        """Submit them all, wait until each has ended, show the table and a line to try."""
        with self._client:
            started_at = time.monotonic()
            for sample in self._samples:
                self._submit(sample)
            while self._open() and time.monotonic() - started_at < SAMPLE_SECONDS:
                self._supervisor.step(0.05)
                for sample in self._open():
                    self._look(sample, time.monotonic() - started_at)
        self._screen.samples([sample.row() for sample in self._samples])
        if self._samples:
            self._screen.try_it(self._connection, self._samples[0].file)

    def _open(self) -> list[Sample]:
        return [sample for sample in self._samples if sample.task_id and sample.status not in TERMINAL]

    def _submit(self, sample: Sample) -> None:
        status, answer = self._call("POST", "/tasks", sample.body)
        if status == httpx.codes.CREATED:
            sample.task_id, sample.status = answer["task_id"], answer["status"]
        else:
            sample.status = "refused"
            sample.result = str(answer.get("error") or answer.get("detail") or f"HTTP {status}")

    def _look(self, sample: Sample, seconds: float) -> None:
        status, answer = self._call("GET", f"/tasks/{sample.task_id}", None)
        if status != httpx.codes.OK:
            return
        sample.status = answer["status"]
        if sample.status in TERMINAL:
            sample.ended_after = seconds
            sample.result = str(answer.get("error") or json.dumps(answer.get("result")))

    def _call(self, method: str, path: str, body: dict[str, object] | None) -> tuple[int, dict[str, Any]]:
        try:
            answer = self._client.request(method, path, json=body)
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            return 0, {"error": str(error)}
        return answer.status_code, found if isinstance(found, dict) else {}
