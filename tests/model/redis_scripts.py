"""What Redis does in one step: the model's form of the Lua scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.model.world import Agent, Doing, Event, Key

if TYPE_CHECKING:
    from tests.model.world import Rules, World


def deliver(world: World, delivery: int, rules: Rules) -> World:
    """Put a delivery on the list, unless the key knows better."""
    if rules.strict_claim:
        key = world.key
        if key is not None:
            later = key.delivery > delivery
            same = key.delivery == delivery and key.state != "reserved"
            if later or same or key.state == "held":
                return world
        world = world._replace(key=Key(delivery, "queued"))
    return world._replace(queue=(*world.queue, delivery), stream=(*world.stream, Event("queued", delivery)))


def claim(world: World, index: int, rules: Rules) -> World | None:
    """Grant the run of what this agent has popped, or None."""
    agent, key = world.agents[index], world.key
    if rules.strict_claim:
        granted = key is not None and (key.delivery, key.state) == (agent.delivery, "queued")
    else:
        granted = key is None or key.delivery < agent.delivery
    if not granted:
        return None
    token = world.starts * 2 + index + 1
    running = Agent(Doing.RUNNING, agent.delivery, token, agent.cut)
    return world._replace(
        key=Key(agent.delivery, "held", token),
        stream=(*world.stream, Event("running", agent.delivery, token)),
        agents=put(world.agents, index, running),
        starts=world.starts + 1,
    )


def report(world: World, index: int, rules: Rules) -> World:
    """Accept the outcome of what this agent runs, or refuse it; either way the agent is free."""
    agent, key = world.agents[index], world.key
    free = world._replace(agents=put(world.agents, index, Agent(cut=agent.cut)))
    outcome = (*world.stream, Event("completed", agent.delivery, agent.token))
    if rules.outcome_needs_token:
        if key is not None and key != Key(agent.delivery, "held", agent.token):
            return free
        return free._replace(key=Key(agent.delivery, "ended", agent.token), stream=outcome)
    later = key is not None and key.delivery > agent.delivery
    return free._replace(key=key if later else Key(agent.delivery, "ended", agent.token), stream=outcome)


def beat(world: World, index: int, listed: int, rules: Rules) -> World:
    """Re-create the key of the run that the heartbeat lists, or stop a run that is another's."""
    agent, key = world.agents[index], world.key
    if listed <= 0 or agent.doing is not Doing.RUNNING or agent.token != listed:
        return world
    held = Key(agent.delivery, "held", agent.token)
    announced = world.stream
    if rules.beat_announces:
        announced = (*announced, Event("running", agent.delivery, agent.token))
    if key is None:
        if rules.settle_after_loss or rules.beat_keeps_and_kills:
            return world._replace(key=held, stream=announced)
        return world
    if rules.beat_keeps_and_kills:
        if (key.delivery, key.state) == (agent.delivery, "queued"):
            return world._replace(key=held, stream=announced)
        if key != held and key != Key(agent.delivery, "ended", agent.token):
            return world._replace(agents=put(world.agents, index, Agent(cut=agent.cut)))
    return world


def take_back(world: World, delivery: int, token: int) -> World | None:
    """Reserve the next delivery if nobody else has the task, or None."""
    key = world.key
    free = (
        key is None
        or key.delivery < delivery
        or (key.delivery == delivery and key.state in ("queued", "reserved"))
        or (key.delivery == delivery and key.state == "held" and key.token == token)
        or key == Key(delivery + 1, "reserved")
    )
    return world._replace(key=Key(delivery + 1, "reserved")) if free else None


def put(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    """Return the tuple with one item replaced."""
    return (*items[:index], item, *items[index + 1 :])
