"""The simulation over a range of batch limits, and the best of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator import PermanentError
from workers.serving.latency import describe_run
from workers.serving.simulator import simulate
from workers.serving.trace import bad_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.serving.cost_model import CostModel
    from workers.serving.simulator import ServerLimits
    from workers.serving.trace import Trace

    Progress = Callable[[float, str], None]

MAX_SIMULATED_REQUESTS = 10_000_000
"""Requests of the trace times batch limits: about 30 s of processor time."""
RULE = (
    "among the batch limits that exceed no limit, those within throughput_tolerance of the most generated "
    "tokens per second; of these the lowest p99 time to first token, then the lowest p99 time per token, "
    "then the smallest batch limit"
)
POLICY = "continuous batching, first come first served, prefill before decode, no preemption"


def tune(
    trace: Trace,
    cost: CostModel,
    *,
    batch_limits: Sequence[int],
    server: ServerLimits,
    rate_factor: float,
    limits: dict[str, float],
    throughput_tolerance: float,
    progress: Progress,
) -> dict[str, Any]:
    """Return what each batch limit leads to, and the best of them by RULE.

    `server` holds the other limits of the server; `limits` maps names of LIMIT_NAMES to seconds. Raises
    PermanentError for a request that can never be admitted and for more work than MAX_SIMULATED_REQUESTS.
    """
    _require_bounded(trace, len(batch_limits))
    _require_fitting(trace, server)
    if rate_factor != 1:
        trace = replace(trace, arrivals=trace.arrivals / rate_factor)
    reasons: dict[str, str] = {}
    servers = [replace(server, batch=batch) for batch in sorted(set(batch_limits))]
    runs = _runs(trace, cost, servers, limits, progress)
    if runs[0]["tpot_seconds"] is None:
        reasons["tpot_seconds"] = "no request has a second generated token"
    best = choose(runs, throughput_tolerance)
    if best is None:
        reasons["best"] = _why_none(runs)
    return {
        "requests": len(trace),
        "context_tokens": int(trace.context.sum()),
        "generated_tokens": int(trace.generated.sum()),
        "offered": _offered(trace, rate_factor, reasons),
        "policy": POLICY,
        "limits": limits,
        "runs": runs,
        "best": best,
        "rule": RULE,
        "throughput_tolerance": throughput_tolerance,
        "notes": [*trace.notes, *_notes(runs)],
        "insufficient_data": reasons,
    }


def choose(runs: list[dict[str, Any]], tolerance: float) -> dict[str, Any] | None:
    """Return what RULE names, with its main figures, or None where every run exceeds a limit."""
    fitting = [run for run in runs if not run["exceeded_limits"]]
    if not fitting:
        return None
    most = max(_rate(run) for run in fitting)
    best = min((run for run in fitting if _rate(run) >= most * (1 - tolerance)), key=_preference)
    kept = ("batch_limit", "throughput", "ttft_seconds", "tpot_seconds")
    return {name: best[name] for name in kept}


def _rate(run: dict[str, Any]) -> float:
    return float(run["throughput"]["generated_tokens_per_second"])


def _preference(run: dict[str, Any]) -> tuple[float, float, int]:
    tpot = run["tpot_seconds"]["p99"] if run["tpot_seconds"] else 0.0
    return run["ttft_seconds"]["p99"], tpot, run["batch_limit"]


def _runs(
    trace: Trace,
    cost: CostModel,
    servers: list[ServerLimits],
    limits: dict[str, float],
    progress: Progress,
) -> list[dict[str, Any]]:
    """Simulate each batch limit, the smallest first; if one is not reached, larger ones are the same."""
    runs: list[dict[str, Any]] = []
    for done, server in enumerate(servers):
        batch = server.batch
        progress(done / len(servers), f"simulating batch limit {batch}")
        last = runs[-1] if runs else None
        if last is not None and last["peak_running"] < last["batch_limit"]:
            runs.append({**last, "batch_limit": batch})
            continue
        run = simulate(trace, cost, server)
        runs.append({"batch_limit": batch, **describe_run(trace, run, limits)})
    return runs


def _offered(trace: Trace, rate_factor: float, reasons: dict[str, str]) -> dict[str, Any]:
    """Return the load that arrives, whatever the server makes of it: n - 1 gaps over the span of arrivals."""
    span = float(trace.arrivals[-1])
    if not span:
        reasons["offered.requests_per_second"] = "all requests arrive at one moment, so there is no rate"
    rate = (len(trace) - 1) / span if span else None
    return {"rate_factor": rate_factor, "span_seconds": span, "requests_per_second": rate}


def _notes(runs: list[dict[str, Any]]) -> list[str]:
    notes = []
    unreached = next((run for run in runs if run["peak_running"] < run["batch_limit"]), None)
    if unreached is not None and unreached is not runs[-1]:
        notes.append(
            f"batch limit {unreached['batch_limit']} is never reached (at most {unreached['peak_running']} "
            "requests run at once), so larger ones lead to the same run"
        )
    behind = [run["batch_limit"] for run in runs if run["waiting_at_last_arrival"] > run["batch_limit"]]
    if behind:
        listed = ", ".join(map(str, behind))
        notes.append(
            f"with batch limit {listed} more than a whole batch still waits when the last request arrives: "
            "the server is behind there, and a longer trace may show longer times"
        )
    return notes


def _why_none(runs: list[dict[str, Any]]) -> str:
    fewest = min(runs, key=lambda run: (len(run["exceeded_limits"]), _preference(run)))
    return (
        f"every batch limit exceeds a limit; {fewest['batch_limit']} comes nearest and exceeds "
        f"{', '.join(fewest['exceeded_limits'])}"
    )


def _require_bounded(trace: Trace, batch_limits: int) -> None:
    if len(trace) * batch_limits > MAX_SIMULATED_REQUESTS:
        raise PermanentError(
            f"{len(trace)} requests times {batch_limits} batch limits are more than "
            f"{MAX_SIMULATED_REQUESTS}; give fewer batch limits"
        )


def _require_fitting(trace: Trace, server: ServerLimits) -> None:
    if server.kv_capacity_tokens is None:
        return
    needs = trace.context + trace.generated
    longest = int(needs.argmax())
    if needs[longest] > server.kv_capacity_tokens:
        raise bad_field(
            int(trace.rows[longest]),
            "context_tokens",
            f"with its answer the request needs {needs[longest]} KV entries of {server.kv_capacity_tokens}, "
            "so it can never run; leave it out, or raise kv_capacity_tokens",
        )
