"""How long an iteration of the server takes, from measured coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CostModel:
    """Iteration times, linear in the work, as they are fitted to measurements of a server.

    A prefill iteration over prompts of c tokens takes
    `prefill_base_seconds + Σ (prefill_seconds_per_token · c + prefill_seconds_per_token_squared · c²)`;
    a decode iteration of b requests whose KV entries number k in all takes
    `decode_base_seconds + decode_seconds_per_sequence · b + decode_seconds_per_context_token · k`.
    """

    prefill_base_seconds: float
    prefill_seconds_per_token: float
    prefill_seconds_per_token_squared: float
    decode_base_seconds: float
    decode_seconds_per_sequence: float
    decode_seconds_per_context_token: float

    def prompt_seconds(self, context: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each prompt adds to its prefill iteration."""
        tokens = context.astype(np.float64)
        return tokens * (self.prefill_seconds_per_token + self.prefill_seconds_per_token_squared * tokens)

    @property
    def prefill_takes_time(self) -> bool:
        """Whether a prefill iteration takes longer than no time at all."""
        per_token = self.prefill_seconds_per_token + self.prefill_seconds_per_token_squared
        return self.prefill_base_seconds + per_token > 0

    @property
    def decode_takes_time(self) -> bool:
        """Whether a decode iteration takes longer than no time at all."""
        per_sequence = self.decode_seconds_per_sequence + self.decode_seconds_per_context_token
        return self.decode_base_seconds + per_sequence > 0
