"""Everything that can happen next: what agents, recorder, reconcilers and the API do, and the faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.model import redis_scripts as redis
from tests.model.redis_scripts import put
from tests.model.world import NOTHING, Agent, Beats, Doing, Plan, Row, Step, Transition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.model.world import Event, Rules, World

TWO_BEATS = 2


def transitions(world: World, rules: Rules) -> Iterator[Transition]:
    """Yield everything that can happen in this state."""
    yield from _api(world, rules)
    for index in range(len(world.agents)):
        yield from _agent(world, index, rules)
    yield from _recorder(world)
    for index in range(len(world.plans)):
        yield from _reconciler(world, index, rules)
    if (
        world.key is not None
        and world.key.state == "ended"
        and (not rules.ended_keys_stay or world.row.status == "ended")
    ):
        yield Transition("the key of the end expires", _too_late_from_now(world, rules)._replace(key=None))
    yield from _losses(world, rules)


def _api(world: World, rules: Rules) -> Iterator[Transition]:
    if world.api == "too late":
        yield Transition("the API's publish 1 is refused", world._replace(api="done"))
    if world.api == "to publish":
        yield Transition("the API publishes 1", redis.deliver(world, 1, rules)._replace(api="done"))
        yield Transition("the API dies before its publish", world._replace(api="done"))


def _agent(world: World, index: int, rules: Rules) -> Iterator[Transition]:
    agent, name = world.agents[index], f"agent {index}"
    if agent.doing is Doing.DEAD:
        nobody_cares = all(plan.step is Step.IDLE or _owner(plan.token) != index for plan in world.plans)
        if nobody_cares and not (world.row.status == "running" and _owner(world.row.token) == index):
            again = world._replace(
                agents=put(world.agents, index, Agent()), beats=put(world.beats, index, Beats())
            )
            yield Transition(f"{name} is started again", again)
        return
    if agent.cut:
        yield Transition(f"{name} is connected again", _with(world, index, agent._replace(cut=False)))
        if agent.doing is Doing.RUNNING and rules.leases:
            yield Transition(f"{name} stops its run: its lease is over", _with(world, index, Agent(cut=True)))
    else:
        yield from _connected(world, index, rules)
    if world.faults.crash:
        dead = _with(world, index, Agent(Doing.DEAD))._replace(unheard=world.unheard - {index})
        yield Transition(f"{name} is killed", _spend(dead, "crash"), is_fault=True)


def _connected(world: World, index: int, rules: Rules) -> Iterator[Transition]:
    agent, name = world.agents[index], f"agent {index}"
    if agent.doing is Doing.IDLE and world.queue:
        popped = _with(world, index, Agent(Doing.POPPED, world.queue[0]))
        yield Transition(f"{name} pops {world.queue[0]}", popped._replace(queue=world.queue[1:]))
    if agent.doing is Doing.POPPED and not (rules.refuse_until_settled and world.unheard):
        granted = redis.claim(world, index, rules)
        if granted is None:
            yield Transition(f"{name}'s claim of {agent.delivery} is refused", _with(world, index, Agent()))
        else:
            yield Transition(f"{name} claims {agent.delivery}", granted)
    if agent.doing is Doing.RUNNING:
        yield Transition(f"{name} reports the outcome of {agent.delivery}", redis.report(world, index, rules))
    yield from _heartbeat(world, index, rules)
    if world.faults.cut:
        cut = _with(world, index, agent._replace(cut=True))
        yield Transition(f"{name} is cut off", _spend(cut, "cut"), is_fault=True)


def _heartbeat(world: World, index: int, rules: Rules) -> Iterator[Transition]:
    agent, beats, name = world.agents[index], world.beats[index], f"agent {index}"
    if beats.on_its_way is None:
        in_hand = NOTHING
        if agent.doing is Doing.RUNNING:
            in_hand = agent.token
        elif agent.doing is Doing.POPPED and rules.list_what_is_popped:
            in_hand = -agent.delivery
        yield Transition(
            f"{name} begins a beat that lists {in_hand}",
            _beats(world, index, beats._replace(on_its_way=in_hand)),
        )
        return
    listed = beats.on_its_way
    after = _beats(redis.beat(world, index, listed, rules), index, Beats(listed))
    heard = listed != NOTHING or agent.doing is not Doing.RUNNING
    plans = tuple(_watched(plan, index, listed, world, rules) for plan in world.plans)
    after = after._replace(plans=plans, unheard=world.unheard - {index} if heard else world.unheard)
    yield Transition(f"{name}'s beat arrives, listing {listed}", after)


def _watched(plan: Plan, index: int, listed: int, world: World, rules: Rules) -> Plan:
    if not rules.two_beats or plan.step is not Step.WATCHING or _owner(plan.token) != index:
        return plan
    if listed == plan.token:
        return Plan()
    if plan.count + 1 >= TWO_BEATS:
        return plan._replace(step=Step.DECIDED, count=len(world.stream))
    return plan._replace(count=plan.count + 1)


def _recorder(world: World) -> Iterator[Transition]:
    if not world.stream:
        return
    event, rest = world.stream[0], world.stream[1:]
    plans = tuple(
        plan._replace(count=max(0, plan.count - 1)) if plan.step is Step.DECIDED and not plan.stale else plan
        for plan in world.plans
    )
    after = world._replace(row=_recorded(world.row, event), stream=rest, plans=plans)
    yield Transition(f"the recorder applies {event.kind} {event.delivery}", after)


def _recorded(row: Row, event: Event) -> Row:
    if event.delivery != row.delivery or row.status == "ended":
        return row
    if event.kind == "queued" and row.status == "pending":
        return Row("queued", row.delivery)
    if event.kind == "running":
        return Row("running", row.delivery, event.token)
    return Row("ended", row.delivery) if event.kind == "completed" else row


def _reconciler(world: World, index: int, rules: Rules) -> Iterator[Transition]:
    plan, name = world.plans[index], f"reconciler {index}"
    settled = not rules.settle_after_loss or not world.unheard
    if plan.step is Step.IDLE:
        if world.row.status != "ended" and settled:
            yield from _looks(world, index, rules)
        return
    yield Transition(f"{name} dies or forgets", _plan(world, index, Plan()))
    if plan.step is Step.DECIDED and not (rules.barrier and plan.count > 0 and not plan.stale):
        yield from _acts(world, index, rules, settled=settled)
    elif plan.step is Step.TAKEN:
        yield _writes(world, index, plan)
    elif plan.step in (Step.WRITTEN, Step.REPUBLISHING):
        if plan.stale or (rules.refuse_until_settled and world.unheard):
            yield Transition(f"{name}'s publish {plan.delivery} is refused", _plan(world, index, Plan()))
        else:
            delivered = redis.deliver(world, plan.delivery, rules)
            yield Transition(f"{name} publishes {plan.delivery}", _plan(delivered, index, Plan()))


def _looks(world: World, index: int, rules: Rules) -> Iterator[Transition]:
    row, name, ahead = world.row, f"reconciler {index}", len(world.stream)
    if row.status == "pending":
        plan = Plan(Step.DECIDED, "pending", row.delivery, -1, ahead)
        yield Transition(f"{name} sees pending {row.delivery}", _plan(world, index, plan))
    if row.status == "queued" and not world.queue and not _popped_somewhere(world, rules):
        plan = Plan(Step.DECIDED, "queued", row.delivery, -1, ahead)
        yield Transition(f"{name} sees queued {row.delivery} and an empty list", _plan(world, index, plan))
    if row.status == "running":
        yield from _looks_at_run(world, index, rules)


def _looks_at_run(world: World, index: int, rules: Rules) -> Iterator[Transition]:
    row, name = world.row, f"reconciler {index}"
    owner = _owner(row.token)
    agent = world.agents[owner]
    decided = Plan(Step.DECIDED, "running", row.delivery, row.token, len(world.stream))
    still_leased = rules.leases and agent.doing is Doing.RUNNING
    if agent.doing is Doing.DEAD or (agent.cut and not still_leased):
        yield Transition(f"{name} sees that agent {owner} is gone", _plan(world, index, decided))
    elif rules.two_beats and not agent.cut:
        watching = Plan(Step.WATCHING, "running", row.delivery, row.token)
        yield Transition(f"{name} watches the beats of agent {owner}", _plan(world, index, watching))
    elif world.beats[owner].listed != row.token and not agent.cut:
        yield Transition(f"{name} sees that agent {owner} does not list it", _plan(world, index, decided))


def _acts(world: World, index: int, rules: Rules, *, settled: bool) -> Iterator[Transition]:
    plan, name = world.plans[index], f"reconciler {index}"
    unchanged = (world.row.delivery, world.row.status) == (plan.delivery, plan.status)
    gives_up = Transition(f"{name} gives up", _plan(world, index, Plan()))
    if not unchanged:
        yield gives_up
    elif plan.status == "pending" and rules.pending_keeps_its_number:
        again = Plan(Step.REPUBLISHING, plan.status, plan.delivery)
        yield (
            Transition(f"{name} means to publish {plan.delivery} again", _plan(world, index, again))
            if settled and not plan.stale
            else gives_up
        )
    elif not rules.take_back_first:
        yield _writes(world, index, plan)
    elif not settled or plan.stale:
        yield gives_up
    else:
        taken = redis.take_back(world, plan.delivery, plan.token)
        if taken is None:
            yield Transition(f"{name}'s take-back is refused", _plan(world, index, Plan()))
        else:
            yield Transition(
                f"{name} takes {plan.delivery} back",
                _plan(taken, index, plan._replace(step=Step.TAKEN, count=0)),
            )


def _writes(world: World, index: int, plan: Plan) -> Transition:
    name = f"reconciler {index}"
    if (world.row.delivery, world.row.status) != (plan.delivery, plan.status):
        return Transition(f"{name}'s UPDATE finds the row changed", _plan(world, index, Plan()))
    written = world._replace(row=Row("pending", plan.delivery + 1))
    after = plan._replace(step=Step.WRITTEN, delivery=plan.delivery + 1, count=0)
    return Transition(f"{name} raises the row to {plan.delivery + 1}", _plan(written, index, after))


def _losses(world: World, rules: Rules) -> Iterator[Transition]:
    if world.faults.flush:
        lost = _memory_lost(world._replace(key=None, queue=(), stream=()), rules)
        yield Transition("FLUSHALL", _spend(lost, "flush"), is_fault=True)
    if world.faults.rollback:
        now = (world.key, world.queue, world.stream)
        if world.saved is None:
            yield Transition(
                "(the last state that reaches the disk or the replica)", world._replace(saved=now)
            )
        elif world.saved != now:
            key, queue, stream = world.saved
            lost = _memory_lost(world._replace(key=key, queue=queue, stream=stream, saved=None), rules)
            yield Transition("ROLLBACK of Redis", _spend(lost, "rollback"), is_fault=True)


def _memory_lost(world: World, rules: Rules) -> World:
    alive = frozenset(i for i, agent in enumerate(world.agents) if agent.doing is not Doing.DEAD)
    waits = rules.settle_after_loss or rules.refuse_until_settled
    plans = tuple(
        plan._replace(stale=rules.epochs, count=0)
        if plan.step not in (Step.IDLE, Step.WATCHING)
        else plan._replace(count=0)
        for plan in world.plans
    )
    return world._replace(
        beats=tuple(Beats() for _ in world.beats),
        unheard=alive if waits else frozenset(),
        api="too late" if rules.epochs and world.api == "to publish" else world.api,
        plans=plans,
    )


def _too_late_from_now(world: World, rules: Rules) -> World:
    """By the time that a key of an end expires, whatever was decided before is too old to be published."""
    if not rules.publishes_age or world.key is None:
        return world
    ended = world.key.delivery
    plans = tuple(
        plan._replace(stale=True)
        if plan.step in (Step.WRITTEN, Step.REPUBLISHING) and plan.delivery <= ended
        else plan
        for plan in world.plans
    )
    return world._replace(plans=plans, api="too late" if world.api == "to publish" else world.api)


def _popped_somewhere(world: World, rules: Rules) -> bool:
    return rules.list_what_is_popped and any(
        beats.listed == -world.row.delivery and agent.doing is not Doing.DEAD
        for beats, agent in zip(world.beats, world.agents, strict=True)
    )


def _owner(token: int) -> int:
    """Return which agent a token belongs to; -1 for none."""
    return (token - 1) % 2 if token > 0 else -1


def _with(world: World, index: int, agent: Agent) -> World:
    return world._replace(agents=put(world.agents, index, agent))


def _beats(world: World, index: int, beats: Beats) -> World:
    return world._replace(beats=put(world.beats, index, beats))


def _plan(world: World, index: int, plan: Plan) -> World:
    return world._replace(plans=put(world.plans, index, plan))


def _spend(world: World, fault: str) -> World:
    left = getattr(world.faults, fault) - 1
    return world._replace(faults=world.faults._replace(**{fault: left}))
