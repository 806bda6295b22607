"""The memory of the KV cache: what a token takes, and what is left for them all."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from orchestrator import PermanentError

DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float8": 1, "int8": 1}
KEY_AND_VALUE = 2


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What of a transformer decides the size of its KV cache."""

    layers: int
    kv_heads: int
    """Heads of keys and values: as many as attention heads, fewer with grouped queries."""
    head_size: int
    dtype: str
    """Type of the cache's elements, a key of DTYPE_BYTES; scales of quantised types are not counted."""

    def bytes_per_token(self, gpus: int) -> int:
        """Return the bytes on each of `gpus` GPUs that share the heads; spare GPUs hold copies of heads."""
        heads = ceil(self.kv_heads / gpus)
        return KEY_AND_VALUE * self.layers * heads * self.head_size * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Gpus:
    """The memory of one of several equal GPUs, and what takes it besides the KV cache."""

    count: int
    memory_bytes: int
    usable_fraction: float
    """Part of the memory that the server may use at all."""
    weights_bytes: int
    """Of the whole model; each GPU holds its equal share."""
    reserved_bytes: int
    """Per GPU: activations, graphs, workspace."""

    def kv_bytes(self) -> int:
        """Return what is left for the KV cache on each GPU, or raise PermanentError where nothing is."""
        usable = int(self.memory_bytes * self.usable_fraction)
        weights = ceil(self.weights_bytes / self.count)
        left = usable - weights - self.reserved_bytes
        if left <= 0:
            raise PermanentError(
                f"of {usable} usable bytes per GPU the weights take {weights} and {self.reserved_bytes} are "
                "reserved, so none is left for the KV cache; give more memory or GPUs, or a smaller model"
            )
        return left
