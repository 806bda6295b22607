"""What a simulated run amounts to: throughput, times to first token and per token, load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.serving.simulator import Run
    from workers.serving.trace import Trace

LIMIT_NAMES = ("ttft_p50_seconds", "ttft_p99_seconds", "tpot_p50_seconds", "tpot_p99_seconds")


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds per request of one run."""

    to_first_token: NDArray[np.float64]
    """TTFT: from arrival to the end of the prefill."""
    per_token: NDArray[np.float64]
    """TPOT: (end - first token) / (generated tokens - 1), of the requests with two tokens or more."""
    in_system: NDArray[np.float64]
    """From arrival to the last token."""
    in_queue: NDArray[np.float64]
    """From arrival to admission."""


def latencies(trace: Trace, run: Run) -> Latencies:
    """Return the times of each request."""
    streamed = trace.generated > 1
    per_token = (run.finished - run.first_token)[streamed] / (trace.generated[streamed] - 1)
    return Latencies(
        run.first_token - trace.arrivals,
        per_token,
        run.finished - trace.arrivals,
        run.admitted - trace.arrivals,
    )


def spread(seconds: NDArray[np.float64]) -> dict[str, float] | None:
    """Return mean, median, 99th percentile (linear between ranks) and maximum; None of nothing."""
    if not len(seconds):
        return None
    median, high = np.percentile(seconds, (50, 99))
    return {
        "mean": float(seconds.mean()),
        "p50": float(median),
        "p99": float(high),
        "max": float(seconds.max()),
    }


def mean_in_system(arrivals: NDArray[np.float64], finished: NDArray[np.float64]) -> float:
    """Return the time average of the number of requests waiting or running, until the last one ends.

    It integrates the step function of that number over all arrivals and departures; it does not use how long
    any one request stayed, so that Little's law is a check and not a definition.
    """
    moments = np.concatenate((arrivals, finished))
    order = np.argsort(moments, kind="stable")
    steps = np.where(order < len(arrivals), 1, -1).astype(np.int32)
    present = np.cumsum(steps, dtype=np.int32)[:-1]
    area = float(np.dot(present, np.diff(moments[order])))
    return area / float(finished.max())


def describe_run(trace: Trace, run: Run, limits: dict[str, float]) -> dict[str, Any]:
    """Return the figures of one run: rates over the time from the first arrival to the last token."""
    times = latencies(trace, run)
    makespan = float(run.finished.max())
    generated, context = int(trace.generated.sum()), int(trace.context.sum())
    ttft, tpot = spread(times.to_first_token), spread(times.per_token)
    return {
        "makespan_seconds": makespan,
        "seconds_after_last_arrival": makespan - float(trace.arrivals[-1]),
        "waiting_at_last_arrival": int(np.count_nonzero(run.admitted > trace.arrivals[-1])),
        "throughput": {
            "requests_per_second": len(trace) / makespan,
            "generated_tokens_per_second": generated / makespan,
            "all_tokens_per_second": (generated + context) / makespan,
        },
        "ttft_seconds": ttft,
        "tpot_seconds": tpot,
        "latency_seconds": spread(times.in_system),
        "queue_seconds": spread(times.in_queue),
        "mean_in_system": mean_in_system(trace.arrivals, run.finished),
        "mean_running": run.running_area / makespan,
        "peak_running": run.peak_running,
        "utilization": min(1.0, run.busy_seconds / makespan),
        "exceeded_limits": _exceeded(ttft, tpot, limits),
    }


def _exceeded(
    ttft: dict[str, float] | None, tpot: dict[str, float] | None, limits: dict[str, float]
) -> list[str]:
    """Return the names of the limits that are not kept; without a second token no TPOT limit is exceeded."""
    found = {"ttft": ttft, "tpot": tpot}
    exceeded = []
    for name, most in limits.items():
        kind, percentile, _ = name.split("_")
        figures = found[kind]
        if figures is not None and figures[percentile] > most:
            exceeded.append(name)
    return exceeded
