"""The mixes of faults that the model is searched with, and where each rule shows what it is for."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.world import Faults


class Mix(NamedTuple):
    """Faults that may strike, and how many reconcilers there are (all but one may be stale)."""

    name: str
    faults: Faults
    reconcilers: int = 1
    limit: int = 3_000_000
    """States after which the search is cut, and says so."""


NO_FAULT = Mix("no fault", Faults())
CRASH = Mix("an agent is killed", Faults(crash=1))
CUT = Mix("an agent is cut off", Faults(cut=1))
FLUSH = Mix("FLUSHALL", Faults(flush=1))
SMALL = (NO_FAULT, CRASH, CUT, FLUSH)

WHOLE = (
    *SMALL,
    Mix("two reconcilers", Faults(), reconcilers=2),
    Mix("an agent is killed, FLUSHALL", Faults(flush=1, crash=1)),
    Mix("an agent is cut off, FLUSHALL", Faults(flush=1, cut=1)),
    Mix("an agent is cut off, one is killed", Faults(crash=1, cut=1)),
    Mix("rollback of Redis", Faults(rollback=1)),
)

SHOWN_BY = {
    "strict_claim": (NO_FAULT, "rerun"),
    "take_back_first": (NO_FAULT, "rerun"),
    "two_beats": (NO_FAULT, "two at once"),
    "publishes_age": (NO_FAULT, "rerun"),
    "ended_keys_stay": (NO_FAULT, "rerun"),
    "leases": (CUT, "two at once"),
}
"""For these rules: the smallest mix in which the protocol breaks without them, and how."""
