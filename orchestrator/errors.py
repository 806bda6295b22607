"""Every error the engine raises, arranged by who can act.

OrchestratorError
├── RejectedError            the caller must change the request
│   ├── DeclarationError     an agent's declaration is wrong (the agent's author must change it)
│   ├── NotFoundError        there is no such task or agent
│   └── ConflictError        the task is not in a state that allows this
├── UnavailableError         wait and try again
│   ├── LedgerUnavailableError
│   │   └── CommitUnknownError
│   ├── LedgerConflictError
│   ├── BrokerUnavailableError
│   └── OverloadedError      more is waiting than may wait; nothing was tried
├── LedgerDataError          a value the ledger cannot hold: set it aside, go on with the rest
├── LostLeadershipError      another controller leads: stop writing
├── SchemaMismatchError      the operator must migrate
├── SettingsError            the operator must correct the environment
└── AgentNameTakenError      another live process has this agent's name

PermanentError and RetryLater are raised by handlers; they are instructions, not faults.
"""

from __future__ import annotations


class OrchestratorError(Exception):
    """Anything the engine raises on purpose."""


class RejectedError(OrchestratorError):
    """The request cannot be accepted as it stands; `fields` maps each bad field to its reasons."""

    def __init__(
        self, message: str, *, code: str = "invalid", fields: dict[str, list[str]] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.fields = fields or {}


class DeclarationError(RejectedError):
    """An agent or a task type is declared wrongly."""


class NotFoundError(RejectedError):
    """What the request names does not exist."""


class ConflictError(RejectedError):
    """The task's state does not allow what is asked."""


class UnavailableError(OrchestratorError):
    """A part we need does not answer now."""


class LedgerUnavailableError(UnavailableError):
    """PostgreSQL does not answer within its bound."""


class CommitUnknownError(LedgerUnavailableError):
    """The connection broke inside COMMIT: look the ids up before believing either way."""


class LedgerConflictError(UnavailableError):
    """A lock could not be had in time, or a deadlock was broken: the transaction can be repeated."""


class BrokerUnavailableError(UnavailableError):
    """Redis does not answer within its bound."""


class OverloadedError(UnavailableError):
    """More is waiting than this process lets wait; nothing of the request was tried."""


class LedgerDataError(OrchestratorError):
    """A value cannot be stored."""


class LostLeadershipError(OrchestratorError):
    """The term of this controller is over."""


class SchemaMismatchError(OrchestratorError):
    """The ledger's schema is of another version than this program."""


class SettingsError(OrchestratorError):
    """The environment is refused as a whole; the message names every problem."""


class AgentNameTakenError(OrchestratorError):
    """Another live process works under this agent's name."""


class PermanentError(Exception):
    """Raised by a handler: this task cannot succeed, do not retry it."""


class RetryLater(Exception):  # noqa: N818 - an instruction to the orchestrator, named as one
    """Raised by a handler: try again after `seconds`, within the task's `max_retries`."""

    def __init__(self, seconds: float, message: str = "the handler asked to be run later") -> None:
        if not 0 <= seconds <= MAX_RETRY_LATER_SECONDS:
            raise ValueError(f"RetryLater takes 0 to {MAX_RETRY_LATER_SECONDS} seconds, not {seconds}")
        super().__init__(message)
        self.seconds = seconds


MAX_RETRY_LATER_SECONDS = 86_400.0
