"""A discrete-event simulation of one LLM server with continuous (iteration-level) batching.

Scheduling as in Orca (Yu et al., OSDI 2022) and vLLM (Kwon et al., SOSP 2023) with prefill first: at the end
of an iteration requests that have arrived are admitted in order of arrival, as long as the batch limit, the
KV cache and the prefill budget allow; a prefill iteration of the admitted follows and gives each its first
token. Otherwise a decode iteration gives every request of the batch one token. With its last one it leaves.

Between an admission and the next departure the batch does not change, so the length of any number of decode
iterations is a quadratic in that number: the clock jumps over them, and a run costs O(requests · log batch).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.serving.cost_model import CostModel
    from workers.serving.trace import Trace

_INDEX_BITS = 20
_INDEX_MASK = (1 << _INDEX_BITS) - 1
"""A request's number (below 2^20, see MAX_REQUESTS) in the low bits of its key in the heap of departures."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What the server may hold at once."""

    batch: int
    """Requests in the batch."""
    kv_capacity_tokens: int | None = None
    """KV entries; a request reserves those of its context and its whole answer when it is admitted."""
    prefill_token_budget: int | None = None
    """Context tokens of one prefill iteration; a longer prompt is prefilled alone."""


@dataclass(frozen=True, slots=True)
class Run:
    """What happened to each request, in seconds on the trace's clock, and to the server."""

    admitted: NDArray[np.float64]
    first_token: NDArray[np.float64]
    finished: NDArray[np.float64]
    busy_seconds: float
    running_area: float
    """Integral of the number of requests in the batch over time."""
    peak_running: int


def simulate(trace: Trace, cost: CostModel, limits: ServerLimits) -> Run:
    """Run the whole trace. Raises ValueError for a request that needs more KV entries than there are."""
    server = _Server(trace, cost, limits)
    arrivals, departures, count = server.arrivals, server.departures, len(trace)
    while server.next < count or departures:
        if server.next < count and server.has_room() and arrivals[server.next] <= server.clock:
            server.prefill()
        elif departures:
            server.decode()
        elif arrivals[server.next] > server.clock:
            server.clock = arrivals[server.next]
        else:
            raise ValueError(f"request {server.next} needs more KV entries than the server has")
    return Run(
        np.frombuffer(server.admitted),
        np.frombuffer(server.first_token),
        np.frombuffer(server.finished),
        server.busy,
        server.area,
        server.peak,
    )


class _Server:
    """The state between iterations."""

    def __init__(self, trace: Trace, cost: CostModel, limits: ServerLimits) -> None:
        count = len(trace)
        self.arrivals = array("d", trace.arrivals.tobytes())
        self.context = array("q", trace.context.tobytes())
        self.needs = array("q", (trace.context + trace.generated).tobytes())
        """KV entries at a request's end."""
        self.prompt_seconds = array("d", cost.prompt_seconds(trace.context).tobytes())
        self.admitted, self.first_token, self.finished = (array("d", bytes(8 * count)) for _ in range(3))
        self.cost = cost
        self.batch_limit = limits.batch
        self.capacity = limits.kv_capacity_tokens
        self.budget = limits.prefill_token_budget
        self.departures: list[int] = []
        """Heap: the decode iteration in which a request ends, and its number."""
        self.clock = 0.0
        self.next = 0
        """The request that is first in the queue, or will be."""
        self.iteration = 0
        """Decode iterations so far."""
        self.entries = 0
        """KV entries that the next decode iteration reads."""
        self.reserved = 0
        self.busy = 0.0
        self.area = 0.0
        self.peak = 0

    def has_room(self) -> bool:
        """Whether the first of the queue could be admitted now."""
        if len(self.departures) >= self.batch_limit:
            return False
        if self.capacity is None:
            return True
        return self.reserved + self.needs[self.next] <= self.capacity

    def prefill(self) -> None:
        """Admit the first of the queue and who fits beside it, and give each its first token."""
        first, end = self.next, self._end_of_admission()
        context, needs, departures = self.context, self.needs, self.departures
        running = len(departures) + end - first
        seconds = self.cost.prefill_base_seconds + sum(self.prompt_seconds[first:end])
        begun, self.clock = self.clock, self.clock + seconds
        for request in range(first, end):
            self.admitted[request] = begun
            self.first_token[request] = self.clock
            entries = context[request] + 1
            steps = needs[request] - entries
            if steps:
                heappush(departures, (self.iteration + steps) << _INDEX_BITS | request)
                self.entries += entries
                self.reserved += needs[request]
            else:
                self.finished[request] = self.clock
        self.next = end
        self.busy += seconds
        self.area += seconds * running
        self.peak = max(self.peak, running)

    def _end_of_admission(self) -> int:
        """Return the first request that stays in the queue."""
        end, count = self.next + 1, len(self.arrivals)
        places = self.batch_limit - len(self.departures) - 1
        if not places or end == count or self.arrivals[end] > self.clock:
            return end
        reserved = self.reserved + self.needs[end - 1]
        tokens = self.context[end - 1]
        last = min(count, end + places)
        while end < last and self.arrivals[end] <= self.clock:
            tokens += self.context[end]
            reserved += self.needs[end]
            if self.budget is not None and tokens > self.budget:
                break
            if self.capacity is not None and reserved > self.capacity:
                break
            end += 1
        return end

    def decode(self) -> None:
        """Iterate until a request ends or one that fits has arrived, whichever comes first."""
        cost, departures = self.cost, self.departures
        batch = len(departures)
        growth = cost.decode_seconds_per_context_token * batch
        seconds = (
            cost.decode_base_seconds
            + cost.decode_seconds_per_sequence * batch
            + cost.decode_seconds_per_context_token * self.entries
        )
        steps = (departures[0] >> _INDEX_BITS) - self.iteration
        lasting = steps * seconds + growth * (steps * (steps - 1) // 2)
        if steps > 1 and self.next < len(self.arrivals):
            gap = self.arrivals[self.next] - self.clock
            if 0 < gap < lasting and self.has_room():
                steps = min(steps, _steps_to_cover(gap, seconds, growth))
                lasting = steps * seconds + growth * (steps * (steps - 1) // 2)
        self.clock += lasting
        self.busy += lasting
        self.area += lasting * batch
        self.iteration += steps
        self.entries += steps * batch
        self._let_go()

    def _let_go(self) -> None:
        departures, past = self.departures, (self.iteration + 1) << _INDEX_BITS
        while departures and departures[0] < past:
            request = heappop(departures) & _INDEX_MASK
            needed = self.needs[request]
            self.entries -= needed
            self.reserved -= needed
            self.finished[request] = self.clock


def _steps_to_cover(gap: float, seconds: float, growth: float) -> int:
    """Return the fewest iterations, the first of `seconds`, each `growth` longer, that last `gap` or more.

    The positive root of (growth / 2) n² + (seconds - growth / 2) n - gap, in the form that does not cancel.
    """
    linear = seconds - growth / 2
    return max(1, ceil(2 * gap / (linear + sqrt(linear * linear + 2 * growth * gap))))
