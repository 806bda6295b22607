"""What `orchestrator up` runs, from its options and the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.settings import load
from orchestrator.environment import read
from orchestrator.local.agents import AgentSource, parse_targets
from orchestrator.local.options import LocalOptions
from orchestrator.local.stack import StackOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ITS_OWN = {"DATABASE_URL": "postgresql://the-stack-makes-its-own"}


def stack_options(
    environ: Mapping[str, str],
    *,
    data_dir: Path,
    port: int,
    flower_port: int | None,
    agents: str | None,
    built_in: Sequence[str],
    concurrency: int,
    samples: Path | None,
) -> StackOptions:
    """Return what to run.

    Raises SettingsError now for what the children would refuse, and StackError for bad agents.
    """
    settings = load({**environ, **ITS_OWN})
    (local,) = read(LocalOptions, environ=environ)
    if agents is None:
        sources = tuple(AgentSource(target, ours=True) for target in built_in)
    else:
        sources = parse_targets(agents)
    return StackOptions(
        data_dir=data_dir,
        port=port,
        flower_port=flower_port,
        agents=sources,
        concurrency=concurrency,
        host=settings.api.host,
        redis_server=local.redis_server,
        samples=samples,
    )
