"""Submit one task and wait for its result, one at a time: HTTP with `?wait=` against `delay().get()`.

Both sides run on the same Redis in the same minutes, in turns; ours also writes the task and its outcome to
PostgreSQL. Run it with `make bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

START_SECONDS = 60.0
STOP_SECONDS = 20.0
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure and print one table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    options.add_argument("--tasks", type=int, default=200, help="tasks in each turn (default 200)")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack, connection = start_stack(Path(folder) / "stack")
        peer = start_peer(connection)
        try:
            measure(connection, rounds=chosen.rounds, tasks=chosen.tasks)
        finally:
            for process in (peer, stack):
                process.terminate()
            for process in (peer, stack):
                process.wait(STOP_SECONDS)


def start_stack(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start the local stack with the benchmark's agent and return how to reach it."""
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        "up",
        "--data-dir",
        str(folder),
        "--port",
        "0",
        "--no-flower",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, "--agents", "benchmarks.agent:agent"], cwd=ROOT, **quiet)  # type: ignore[call-overload]
    found = folder / "connection.json"
    until = time.monotonic() + START_SECONDS
    while not found.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"the local stack did not start; its logs are in {folder / 'logs'}")
        time.sleep(0.1)
    return process, json.loads(found.read_text())


def start_peer(connection: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a stock Celery worker of two children on database 1 of the same Redis."""
    os.environ["STOCK_REDIS_URL"] = connection["redis_url"].removesuffix("/0") + "/1"
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.stock", "worker", "--concurrency", "2"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle"], cwd=ROOT, **quiet
    )  # type: ignore[call-overload]
    return process


def measure(connection: dict[str, Any], *, rounds: int, tasks: int) -> None:
    """Take turns and print medians over the turns."""
    from benchmarks.stock import noop  # noqa: PLC0415 - reads the environment that start_peer fills

    headers = {"Authorization": f"Bearer {connection['api_key']}"}
    body = {"agent_type": "bench", "task_type": "noop"}
    with httpx.Client(base_url=connection["url"], headers=headers, timeout=START_SECONDS) as http:

        def ours() -> None:
            answer = http.post("/tasks", params={"wait": 30}, json=body).json()
            if answer["status"] != "completed":
                raise SystemExit(f"a task ended as {answer['status']}: {answer['error']}")

        def theirs() -> None:
            noop.delay().get(timeout=START_SECONDS)

        sides = {"HTTP ?wait=, durable": ours, "stock delay().get()": theirs}
        for side in sides.values():
            turn(side, 20)
        turns: dict[str, list[list[float]]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                turns[name].append(turn(side, tasks))
    report(turns)


def turn(side: Callable[[], None], tasks: int) -> list[float]:
    """Run one side's turn; return the milliseconds of each task, sorted."""
    times = []
    for _ in range(tasks):
        began = time.perf_counter()
        side()
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def report(turns: dict[str, list[list[float]]]) -> None:
    """Print the ratio of the medians first, then each side's percentiles."""
    medians = {name: [statistics.median(times) for times in rounds] for name, rounds in turns.items()}
    ours, theirs = medians.values()
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    print(
        f"p50 ratio, ours to stock: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    for name, rounds in turns.items():
        p99 = statistics.median(times[int(len(times) * 0.99) - 1] for times in rounds)
        middle = statistics.median(medians[name])
        spread = f"{min(medians[name]):.1f} to {max(medians[name]):.1f}"
        print(f"{name:24} p50 {middle:6.1f} ms ({spread})  p99 {p99:6.1f} ms")


if __name__ == "__main__":
    main()
