"""An agent's calls to Redis: register, beat, claim, report, tell, leave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.broker import keys, scripts
from orchestrator.broker.answers import Claimed, Reported
from orchestrator.broker.connection import ServerClock, connect
from orchestrator.broker.scripts import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.broker.options import BrokerOptions

MAX_EVENT_BACKLOG = 1_000_000
"""Events waiting for the recorder above which no agent takes a new task."""
COMMAND_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """The identity of one execution."""

    task_id: str
    delivery: int
    token: str


@dataclass(frozen=True, slots=True)
class Registration:
    """The answer to `register`: granted, or who has the name."""

    granted: bool
    holder_incarnation: str = ""
    holder_record: dict[str, Any] | None = None
    holder_seq: int = 0


@dataclass(frozen=True, slots=True)
class BeatAnswer:
    """What a beat learned: `known` (else register again), `replaced`, the tokens that must stop with why."""

    known: bool
    replaced: bool
    stops: dict[str, str]


class AgentLink:
    """Redis, as one incarnation of one agent uses it.

    Every call may be repeated; each raises BrokerUnavailableError.
    """

    def __init__(self, options: BrokerOptions, *, agent_id: str, incarnation: str) -> None:
        self.agent_id = agent_id
        self.incarnation = incarnation
        self._options = options
        self._client = connect(options, ServerClock(), command_timeout_seconds=COMMAND_TIMEOUT_SECONDS)

    def after_fork(self) -> AgentLink:
        """Return a link for a process that was just forked.

        The connections of this one are the parent's, and one of its threads may have held their locks.
        """
        return AgentLink(self._options, agent_id=self.agent_id, incarnation=self.incarnation)

    def register(self, record: dict[str, Any], *, dead_incarnation: str = "") -> Registration:
        """Enter this incarnation under its name, taking over from `dead_incarnation`."""
        answer = self._run(
            "register",
            [keys.agent_key(self.agent_id), keys.EVENTS, keys.AGENTS],
            [self.incarnation, self.agent_id, json.dumps(record), dead_incarnation],
        )
        if answer[0] == "OK":
            return Registration(granted=True)
        return Registration(
            granted=False,
            holder_incarnation=answer[1],
            holder_record=json.loads(answer[2]) if answer[2] else None,
            holder_seq=int(answer[3]),
        )

    def beat(
        self,
        *,
        seq: int,
        status: str,
        running: int,
        load: dict[str, Any],
        tokens: Sequence[str],
        held: Sequence[Run],
    ) -> BeatAnswer:
        """Send one heartbeat. `tokens` are all in hand; `held` are those whose claim was granted."""
        items = [part for run in held for part in (run.task_id, run.delivery, run.token)]
        answer = self._run(
            "beat",
            [keys.agent_key(self.agent_id), keys.EVENTS],
            [
                self.incarnation,
                self.agent_id,
                seq,
                status,
                running,
                json.dumps(load),
                " ".join(tokens),
                *items,
            ],
        )
        stops = dict(zip(answer[2::2], answer[3::2], strict=True))
        return BeatAnswer(known=answer[0] != "REGISTER", replaced=answer[0] == "REPLACED", stops=stops)

    def claim(self, run: Run, *, pid: int) -> tuple[Claimed, str]:
        """Ask for the right to run; the text says why not."""
        answer = self._run(
            "claim",
            [keys.task_key(run.task_id), keys.EVENTS],
            [*self._identity(run), json.dumps({"pid": pid}), MAX_EVENT_BACKLOG],
        )
        return Claimed(answer[0]), answer[1]

    def report(self, run: Run, kind: str, payload: str) -> Reported:
        """Hand in an outcome; REFUSED when the run is no longer this token's."""
        answer = self._run(
            "report", [keys.task_key(run.task_id), keys.EVENTS], [*self._identity(run), kind, payload]
        )
        return Reported(answer[0])

    def tell(self, run: Run, kind: str, payload: str) -> bool:
        """Send progress or log lines of a run that is still this token's."""
        answer = self._run(
            "tell", [keys.task_key(run.task_id), keys.EVENTS], [*self._identity(run), kind, payload]
        )
        return answer[0] == "OK"

    def leave(self) -> None:
        """Take this incarnation out of the registry."""
        self._run(
            "leave",
            [keys.agent_key(self.agent_id), keys.EVENTS, keys.AGENTS],
            [self.incarnation, self.agent_id],
        )

    def wait_for_nudge(self, timeout_seconds: float) -> bool:
        """Wait until somebody wants a beat at once; at most COMMAND_TIMEOUT_SECONDS less a second."""
        return bool(self._client.blpop([keys.nudge_key(self.incarnation)], timeout=timeout_seconds))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _identity(self, run: Run) -> list[str | int]:
        return [run.task_id, run.delivery, run.token, self.agent_id, self.incarnation]

    def _run(self, script: str, names: Sequence[str], arguments: Sequence[Any]) -> list[str]:
        return scripts.run(self._client, Call(scripts.load(script), names, arguments))
