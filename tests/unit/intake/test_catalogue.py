from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from orchestrator.errors import BrokerUnavailableError, LedgerUnavailableError
from orchestrator.intake import catalogue as module
from orchestrator.intake.catalogue import Catalogue, UnknownCapabilityError
from orchestrator.ledger.catalogue import CapabilityRow
from tests.unit.intake.rows import agent_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.broker.registry import AgentView
    from orchestrator.intake.registry import RegistryView
    from orchestrator.ledger.engine import Ledger


class World:
    """A ledger and a registry that count how often they are asked."""

    def __init__(self) -> None:
        self.rows: list[CapabilityRow] = []
        self.agents: list[AgentView] | None = []
        self.reads = 0
        self.away = False

    @contextmanager
    def transaction(self, _seconds: float) -> Iterator[None]:
        self.reads += 1
        if self.away:
            raise LedgerUnavailableError("away")
        yield None

    def agents_now(self) -> list[AgentView]:
        if self.agents is None:
            raise BrokerUnavailableError("away")
        return self.agents


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    world.rows = [row("cost", "analyze_cost"), row("cost", "right_size"), row("quality", "check")]
    monkeypatch.setattr(module, "read_catalogue", lambda _connection: world.rows)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    return world


def row(agent_type: str, task_type: str, **changes: Any) -> CapabilityRow:
    values: dict[str, Any] = {"parameters_schema": None, "defaults": {}, "exclusive": False}
    return CapabilityRow(agent_type, task_type, **{**values, **changes})


def make(world: World) -> Catalogue:
    return Catalogue(cast("Ledger", world), cast("RegistryView", world), timeout_seconds=1)


def test_known_capability_costs_one_read_for_all(world: World) -> None:
    catalogue = make(world)
    for _ in range(5):
        assert catalogue.find("cost", "analyze_cost").task_type == "analyze_cost"

    assert world.reads == 1


@pytest.mark.parametrize(
    ("agent_type", "task_type", "field", "near"),
    [
        ("cots", "analyze_cost", "agent_type", "cost"),
        ("cost", "analyse_cost", "task_type", "analyze_cost"),
        ("cost", "check", "task_type", "quality.check"),
    ],
)
def test_unknown_capability_names_the_field_and_what_is_near(
    world: World, agent_type: str, task_type: str, field: str, near: str
) -> None:
    with pytest.raises(UnknownCapabilityError, match=near) as refusal:
        make(world).find(agent_type, task_type)
    assert refusal.value.field == field


def test_miss_is_looked_up_among_the_live_agents_and_then_in_the_ledger(world: World) -> None:
    catalogue = make(world)
    catalogue.refresh()
    world.agents = [agent_view(task_type="fresh")]
    assert catalogue.find("probe", "fresh").agent_type == "probe"

    world.agents = None
    world.rows.append(row("late", "comer"))
    assert catalogue.find("late", "comer").agent_type == "late"


def test_nobody_is_refused_while_nobody_can_tell(world: World) -> None:
    world.away = True

    with pytest.raises(LedgerUnavailableError):
        make(world).find("cost", "analyze_cost")


def test_ledger_away_changes_nothing_about_what_is_known(world: World) -> None:
    catalogue = make(world)
    catalogue.refresh()
    world.away = True

    assert catalogue.find("cost", "right_size")


def test_unchanged_schema_is_not_compiled_again(world: World) -> None:
    world.rows = [row("cost", "x", parameters_schema={"type": "object"})]
    catalogue = make(world)
    before = catalogue.find("cost", "x").check
    catalogue.refresh()
    assert catalogue.find("cost", "x").check is before

    world.rows = [row("cost", "x", parameters_schema={"type": "object", "required": ["a"]})]
    catalogue.refresh()
    assert catalogue.find("cost", "x").check is not before


def test_unusable_schema_checks_nothing(world: World) -> None:
    world.rows = [row("cost", "x", parameters_schema={"type": "nonsense"})]

    assert make(world).find("cost", "x").check is None
