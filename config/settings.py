"""Every setting of the servers, composed of the parts' own options.

`python -m config.settings` prints the table that the README shows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from orchestrator.broker.options import BrokerOptions, with_redis_url
from orchestrator.controller.options import ControllerOptions
from orchestrator.environment import Setting, read, setting, settings_of, unknown_names
from orchestrator.intake.options import IntakeOptions
from orchestrator.ledger.options import LedgerOptions
from orchestrator.local.options import LocalOptions
from orchestrator.worker.options import AgentOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Settings of the HTTP side."""

    port: int = field(
        default=8080, metadata=setting("PORT", "TCP port of the API; 0 takes any free one", low=0, high=65535)
    )
    host: str = field(
        default="127.0.0.1", metadata=setting("ORCHESTRATOR_HOST", "address on which the API listens")
    )
    environment: str = field(
        default="development",
        metadata=setting(
            "ENVIRONMENT", "what this installation is for", choices=("development", "test", "production")
        ),
    )
    workers: int = field(
        default=2, metadata=setting("ORCHESTRATOR_API_WORKERS", "processes of the API", low=1, high=64)
    )
    worker_connections: int = field(
        default=1000,
        metadata=setting(
            "ORCHESTRATOR_API_CONNECTIONS", "connections of one API process at a time", low=10, high=10_000
        ),
    )
    graceful_seconds: int = field(
        default=30,
        metadata=setting(
            "ORCHESTRATOR_GRACEFUL_TIMEOUT",
            "seconds that a stopping API process has for the requests in its hands",
            low=1,
            high=300,
        ),
    )
    body_limit_bytes: int = field(
        default=2 * 1024 * 1024,
        metadata=setting(
            "ORCHESTRATOR_BODY_LIMIT", "bytes of a request's body", low=1024, high=256 * 1024 * 1024
        ),
    )
    timeout_ceiling_seconds: int = field(
        default=300,
        metadata=setting(
            "ORCHESTRATOR_TIMEOUT_CEILING",
            "the largest timeout_seconds, in seconds, that a submission may ask for",
            low=1,
            high=86_400,
        ),
    )


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How processes write their logs."""

    level: str = field(
        default="info",
        metadata=setting(
            "ORCHESTRATOR_LOG_LEVEL",
            "the least severe log line",
            choices=("debug", "info", "warning", "error"),
        ),
    )
    format: str = field(
        default="console",
        metadata=setting("ORCHESTRATOR_LOG_FORMAT", "how a log line looks", choices=("console", "json")),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, read once by an entry point, which hands each part its own."""

    api: ApiOptions
    log: LogOptions
    intake: IntakeOptions
    ledger: LedgerOptions
    broker: BrokerOptions
    controller: ControllerOptions
    agent: AgentOptions


SECTIONS = (
    ApiOptions,
    LogOptions,
    IntakeOptions,
    LedgerOptions,
    BrokerOptions,
    ControllerOptions,
    AgentOptions,
)
READ_ELSEWHERE = (
    Setting("REDIS_ADDR", "Redis as host:port, where REDIS_URL is not given"),
    Setting("REDIS_PASSWORD", "password for REDIS_ADDR", secret=True),
    Setting(
        "ORCHESTRATOR_DATA_DIR", "folder whose files agents may read; default the one they are started in"
    ),
    Setting("ORCHESTRATOR_URL", "where clients find the API; default the running local stack"),
    Setting("ORCHESTRATOR_API_KEY", "the key that clients show; default the local stack's own", secret=True),
    Setting("ORCHESTRATOR_TEST_DATA", "folder of the real data that some tests read"),
)
"""Settings of agents, clients and tests: known here, so that they are not refused, read elsewhere."""


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ`.

    Raises SettingsError that names everything wrong at once: missing, malformed, out of range, unknown.
    """
    problems = unknown_names(environ, known_names())
    return Settings(*read(*SECTIONS, environ=with_redis_url(environ), also=problems))


def known_names() -> set[str]:
    """Return the name of every setting there is."""
    return {row.name for row in settings_table()}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the settings table."""

    name: str
    default: str
    meaning: str


def settings_table() -> list[SettingRow]:
    """Return one row for each setting; the README shows these."""
    rows: dict[str, SettingRow] = {}
    for options in (*SECTIONS, LocalOptions):
        for item, declared in settings_of(options):
            rows.setdefault(
                declared.name, SettingRow(declared.name, _default(item, declared), _meaning(declared))
            )
    for declared in READ_ELSEWHERE:
        rows.setdefault(declared.name, SettingRow(declared.name, "", _meaning(declared)))
    return list(rows.values())


def markdown_table() -> str:
    """Return the settings table as the README has it."""
    lines = ["| name | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.meaning} |"
        for row in settings_table()
    ]
    return "\n".join(lines) + "\n"


def _default(item: dataclasses.Field[object], declared: Setting) -> str:
    if item.default is dataclasses.MISSING:
        return "required"
    if item.default is None or item.default == "":
        return ""
    if isinstance(item.default, float):
        return f"{item.default:g}"
    return "" if declared.secret and "@" in str(item.default) else str(item.default)


def _meaning(declared: Setting) -> str:
    meaning = declared.meaning
    if declared.choices:
        meaning += f": {', '.join(declared.choices)}"
    if declared.low is not None and declared.high is not None:
        meaning += f" ({_number(declared.low)} to {_number(declared.high)})"
    return meaning


def _number(value: float) -> str:
    return f"{int(value)}" if value == int(value) else f"{value:g}"


if __name__ == "__main__":
    click.echo(markdown_table(), nl=False)
