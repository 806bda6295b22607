"""The kinds of faults: whom each strikes, what it does, for how long, and how it is lifted."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.stack import APIS, HEARTBEAT_SECONDS, WORKERS
from tests.support.proxy import Mode

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.chaos.journal import Run
    from tests.chaos.stack import Stack

LOST_SECONDS = 1.2
"""What a Redis loses that comes back with an older file."""
DELAY_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class Victim:
    """What a fault strikes, and the task ids that it had in hand at that moment."""

    name: str
    held: frozenset[str]
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind. `strike` begins it; after `seconds` drawn from a range `lift` ends it."""

    name: str
    choose: Callable[[Stack, Sequence[Run], random.Random], Victim]
    strike: Callable[[Stack, Victim], None]
    lift: Callable[[Stack, Victim], None]
    seconds: tuple[float, float]


def _all_of(name: str, runs: Sequence[Run]) -> Victim:
    return Victim(name, frozenset(run.task_id for run in runs))


def _of_worker(stack: Stack, name: str, runs: Sequence[Run]) -> Victim:
    pid = stack.pid(name)
    return Victim(name, frozenset(run.task_id for run in runs if run.main == pid))


def _a_worker(stack: Stack, runs: Sequence[Run], rng: random.Random) -> Victim:
    victims = [_of_worker(stack, name, runs) for name in WORKERS]
    return rng.choice([victim for victim in victims if victim.held] or victims)


def _a_child(stack: Stack, runs: Sequence[Run], rng: random.Random) -> Victim:
    mains = {stack.pid(name): name for name in WORKERS}
    ours = [run for run in runs if run.main in mains]
    if not ours:
        return Victim(rng.choice(WORKERS), frozenset())
    run = rng.choice(ours)
    return Victim(mains[run.main], frozenset({run.task_id}), run.pid)


def _leader(stack: Stack, runs: Sequence[Run], _rng: random.Random) -> Victim:
    return _all_of(stack.leader(), runs)


def _standby(stack: Stack, runs: Sequence[Run], _rng: random.Random) -> Victim:
    return _all_of(stack.standby(), runs)


def _an_api(_stack: Stack, runs: Sequence[Run], rng: random.Random) -> Victim:
    return _all_of(rng.choice(APIS), runs)


def _redis(_stack: Stack, runs: Sequence[Run], _rng: random.Random) -> Victim:
    return _all_of("redis", runs)


def _postgres(_stack: Stack, runs: Sequence[Run], _rng: random.Random) -> Victim:
    return _all_of("postgres", runs)


def _a_link(stack: Stack, runs: Sequence[Run], rng: random.Random) -> Victim:
    """A worker's way as often as all the others together: only a worker holds tasks of its own."""
    of_workers = [_of_worker(stack, name, runs) for name in WORKERS]
    busy = [victim for victim in of_workers if victim.held]
    if busy and rng.random() < 0.5:
        victim = rng.choice(busy)
        return Victim(f"{victim.name}→redis", victim.held)
    names = [name for name in stack.links if not name.startswith(WORKERS)]
    return _all_of(rng.choice(names or sorted(stack.links)), runs)


def _kill(stack: Stack, victim: Victim) -> None:
    stack.kill(victim.name)


def _start(stack: Stack, victim: Victim) -> None:
    stack.start_again(victim.name)


def _freeze(stack: Stack, victim: Victim) -> None:
    stack.signal_all(victim.name, signal.SIGSTOP)


def _thaw(stack: Stack, victim: Victim) -> None:
    stack.signal_all(victim.name, signal.SIGCONT)


def _freeze_main(stack: Stack, victim: Victim) -> None:
    stack.processes[victim.name].signal(signal.SIGSTOP)


def _thaw_main(stack: Stack, victim: Victim) -> None:
    stack.processes[victim.name].signal(signal.SIGCONT)


def _to_child(number: signal.Signals) -> Callable[[Stack, Victim], None]:
    def send(_stack: Stack, victim: Victim) -> None:
        if victim.pid:
            with suppress(ProcessLookupError):
                os.kill(victim.pid, number)

    return send


def _nothing(_stack: Stack, _victim: Victim) -> None:
    """Leave it: the fault is over by itself, or others repair it."""


def _kill_redis(stack: Stack, _victim: Victim) -> None:
    stack.redis.kill()


def _start_redis(stack: Stack, _victim: Victim) -> None:
    stack.redis.start()


def _flush_redis(stack: Stack, _victim: Victim) -> None:
    client = stack.redis.client()
    client.flushall()
    client.close()


def _copy_redis_files(stack: Stack, _victim: Victim) -> None:
    """Keep what Redis has on disk now, also a half-written last command: it cuts that off at its start."""
    kept = _kept(stack)
    kept.mkdir()
    for path in _appended(stack.redis.folder):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, kept / path.name)


def _come_back_older(stack: Stack, _victim: Victim) -> None:
    stack.redis.kill()
    for path in _appended(stack.redis.folder):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in _kept(stack).iterdir():
        shutil.move(path, stack.redis.folder / path.name)
    _kept(stack).rmdir()
    stack.redis.start()


def _kept(stack: Stack) -> Path:
    return stack.redis.folder / "kept"


def _appended(folder: Path) -> list[Path]:
    """The append-only files: a folder of them since Redis 7, one file before."""
    return [path for path in folder.iterdir() if path.name.startswith("appendonly")]


def _stop_postgres(stack: Stack, _victim: Victim) -> None:
    stack.postgres.stop()


def _start_postgres(stack: Stack, _victim: Victim) -> None:
    stack.postgres.start()


def _freeze_redis(stack: Stack, _victim: Victim) -> None:
    stack.redis.freeze()


def _thaw_redis(stack: Stack, _victim: Victim) -> None:
    stack.redis.thaw()


def _freeze_postgres(stack: Stack, _victim: Victim) -> None:
    stack.postgres.freeze()


def _thaw_postgres(stack: Stack, _victim: Victim) -> None:
    stack.postgres.thaw()


def _set_link(mode: Mode) -> Callable[[Stack, Victim], None]:
    def change(stack: Stack, victim: Victim) -> None:
        stack.links[victim.name].set(mode, DELAY_SECONDS if mode is Mode.DELAY else 0.0)

    return change


FAULTS = (
    Fault("worker killed", _a_worker, _kill, _start, (0.0, 5.0)),
    Fault("worker's main frozen", _a_worker, _freeze_main, _thaw_main, (1.0, 7.0)),
    Fault("worker frozen whole", _a_worker, _freeze, _thaw, (1.0, 7.0)),
    Fault("pool child killed", _a_child, _to_child(signal.SIGKILL), _nothing, (0.0, 0.2)),
    Fault("pool child frozen", _a_child, _to_child(signal.SIGSTOP), _to_child(signal.SIGCONT), (1.0, 5.0)),
    Fault("leader killed", _leader, _kill, _start, (0.0, 4.0)),
    Fault("leader frozen", _leader, _freeze, _thaw, (1.0, 8.0)),
    Fault("standby killed", _standby, _kill, _start, (0.0, 2.0)),
    Fault("standby frozen", _standby, _freeze, _thaw, (1.0, 4.0)),
    Fault("API killed", _an_api, _kill, _start, (0.0, 2.0)),
    Fault("API frozen", _an_api, _freeze, _thaw, (1.0, 7.0)),
    Fault("Redis killed", _redis, _kill_redis, _start_redis, (0.0, 3.0)),
    Fault("Redis emptied", _redis, _flush_redis, _nothing, (0.0, 0.2)),
    Fault("Redis set back", _redis, _copy_redis_files, _come_back_older, (LOST_SECONDS, LOST_SECONDS)),
    Fault("Redis frozen", _redis, _freeze_redis, _thaw_redis, (1.0, 5.0)),
    Fault("PostgreSQL restarted", _postgres, _stop_postgres, _start_postgres, (0.0, 0.2)),
    Fault("PostgreSQL stopped", _postgres, _stop_postgres, _start_postgres, (10.0, 10.0)),
    Fault("PostgreSQL frozen", _postgres, _freeze_postgres, _thaw_postgres, (1.0, 7.0)),
    Fault("connection delayed", _a_link, _set_link(Mode.DELAY), _set_link(Mode.PASS), (2.0, 5.0)),
    Fault("connection cut", _a_link, _set_link(Mode.CUT), _set_link(Mode.PASS), (0.5, 6.0)),
    Fault("connection half-open", _a_link, _set_link(Mode.HALF_OPEN), _set_link(Mode.PASS), (0.5, 6.0)),
)
PAST_TIMEOUT = (HEARTBEAT_SECONDS + 4.0, HEARTBEAT_SECONDS + 5.0)
AIMED = (
    Fault("worker's main frozen past its timeout", _a_worker, _freeze_main, _thaw_main, PAST_TIMEOUT),
    Fault("worker frozen past its timeout", _a_worker, _freeze, _thaw, PAST_TIMEOUT),
)
"""Kinds for the trials of broken builds, which must be hit where they are broken."""
BY_NAME = {fault.name: fault for fault in (*FAULTS, *AIMED)}
