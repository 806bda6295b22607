"""The parameters of the performance agent's task types."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from workers.serving.cost_model import CostModel
from workers.serving.memory import DTYPE_BYTES

MAX_INLINE_REQUESTS = 10_000
MAX_PATH_CHARACTERS = 1_024
MAX_NAME_CHARACTERS = 256
MAX_BYTES = 1 << 50
MAX_BLOCK_SIZE = 65_536
MAX_BATCH = 65_536
MAX_CHOICES = 32
"""Block sizes, batch limits or percentiles of one task."""
MAX_COEFFICIENT = 1_000.0
MIN_COEFFICIENT = 1e-12


class TraceFile(Schema):
    """A CSV file of the data folder and what its columns are called (default: as in the Azure LLM traces)."""

    path = fields.String(required=True, validate=validate.Length(min=1, max=MAX_PATH_CHARACTERS))
    arrival = fields.String(load_default="TIMESTAMP", validate=validate.Length(1, MAX_NAME_CHARACTERS))
    context_tokens = fields.String(
        load_default="ContextTokens", validate=validate.Length(1, MAX_NAME_CHARACTERS)
    )
    generated_tokens = fields.String(
        load_default="GeneratedTokens", validate=validate.Length(1, MAX_NAME_CHARACTERS)
    )

    @validates_schema
    def three_columns(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse one column for two things."""
        columns = [data[name] for name in ("arrival", "context_tokens", "generated_tokens")]
        if len(set(columns)) < len(columns):
            raise ValidationError("names the same column twice")


class TraceField(fields.Field[Any]):
    """A file `{"path", "arrival", "context_tokens", "generated_tokens"}` (column names), or inline rows."""

    def __init__(self, description: str) -> None:
        super().__init__(
            required=True,
            metadata={
                "description": description,
                "anyOf": [
                    {
                        "type": "object",
                        "required": ["path"],
                        "additionalProperties": False,
                        "properties": {
                            "path": {
                                "type": "string",
                                "description": "CSV file inside the agent's data folder",
                            },
                            "arrival": {"type": "string", "default": "TIMESTAMP"},
                            "context_tokens": {"type": "string", "default": "ContextTokens"},
                            "generated_tokens": {"type": "string", "default": "GeneratedTokens"},
                        },
                    },
                    {"type": "array", "maxItems": MAX_INLINE_REQUESTS, "items": {"type": "array"}},
                ],
            },
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - marshmallow's signature
        if isinstance(value, list):
            if len(value) > MAX_INLINE_REQUESTS:
                raise ValidationError(f"holds more than {MAX_INLINE_REQUESTS} rows; give a file instead")
            return value
        return TraceFile().load(value)


def _whole(description: str, low: int, high: int, **options: Any) -> fields.Integer:
    return fields.Integer(
        strict=True,
        validate=validate.Range(low, high),
        metadata={"description": description},
        **options,
    )


def _coefficient(description: str, **options: Any) -> fields.Float:
    return fields.Float(validate=_check_coefficient, metadata={"description": description}, **options)


def _check_coefficient(value: float) -> None:
    if value != 0 and not MIN_COEFFICIENT <= value <= MAX_COEFFICIENT:
        raise ValidationError(f"must be 0, or from {MIN_COEFFICIENT} to {MAX_COEFFICIENT} seconds")


def _most(description: str) -> fields.Float:
    return fields.Float(
        validate=validate.Range(min=0, min_inclusive=False), metadata={"description": description}
    )


def _choices(description: str, inner: Any, default: list[Any]) -> fields.List[Any]:
    return fields.List(
        inner,
        load_default=lambda: list(default),
        validate=validate.Length(1, MAX_CHOICES),
        metadata={"description": f"{description} (default {default})"},
    )


class Model(Schema):
    """What of a transformer decides the size of its KV cache."""

    layers = _whole("transformer layers", 1, 10_000, required=True)
    kv_heads = _whole(
        "heads of keys and values (with grouped queries fewer than heads)", 1, 10_000, required=True
    )
    head_size = _whole("elements of one head's key", 1, 65_536, required=True)
    dtype = fields.String(
        required=True,
        validate=validate.OneOf(list(DTYPE_BYTES)),
        metadata={"description": "type of the cache's elements"},
    )


class Gpu(Schema):
    """The memory that a server has."""

    memory_bytes = _whole("memory of one GPU", 1, MAX_BYTES, required=True)
    count = _whole("equal GPUs that share weights and heads (tensor parallel)", 1, 1_024, load_default=1)
    usable_fraction = fields.Float(
        load_default=1.0,
        validate=validate.Range(0, 1, min_inclusive=False),
        metadata={"description": "part of the memory that the server may use"},
    )
    reserved_bytes = _whole(
        "per GPU: activations, graphs, workspace; measure it", 0, MAX_BYTES, load_default=0
    )


class OptimizeKvCache(Schema):
    """Parameters of `optimize_kv_cache`."""

    model = fields.Nested(Model, required=True)
    gpu = fields.Nested(Gpu, required=True)
    weights_bytes = _whole("weights of the whole model", 0, MAX_BYTES, required=True)
    trace = TraceField(
        "requests: a CSV file with its column names, or rows of [context_tokens, generated_tokens] or "
        "[arrival, context_tokens, generated_tokens]"
    )
    block_sizes = _choices(
        "tokens per block, to compare", _whole("tokens per block", 1, MAX_BLOCK_SIZE), [8, 16, 32, 64, 128]
    )
    percentiles = _choices(
        "percentiles of a request's tokens at which the batch is sized",
        fields.Float(validate=validate.Range(0, 100, min_inclusive=False)),
        [50.0, 90.0, 99.0],
    )
    block_overhead_bytes = _whole(
        "memory that each block costs besides its tokens (table entry, descriptor); measure it",
        0,
        MAX_BYTES,
        load_default=0,
    )
    tolerance = fields.Float(
        load_default=0.01,
        validate=validate.Range(0, 1),
        metadata={
            "description": "block sizes closer to the fewest bytes per request than this count as equal"
        },
    )


class Cost(Schema):
    """Coefficients of CostModel, fitted to measurements; each is 0, or from 1e-12 to 1,000 seconds."""

    prefill_base_seconds = _coefficient("of every prefill iteration", load_default=0.0)
    prefill_seconds_per_token = _coefficient("per context token", required=True)
    prefill_seconds_per_token_squared = _coefficient(
        "per square of a prompt's context tokens (attention)", load_default=0.0
    )
    decode_base_seconds = _coefficient("of every decode iteration (reading the weights)", required=True)
    decode_seconds_per_sequence = _coefficient("per request of the batch", load_default=0.0)
    decode_seconds_per_context_token = _coefficient(
        "per KV entry that the batch reads (context and answer so far)", load_default=0.0
    )

    @validates_schema(skip_on_field_errors=True)
    def work_takes_time(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a server that generates tokens in no time."""
        cost = CostModel(**data)
        if not cost.prefill_takes_time:
            raise ValidationError("a prefill coefficient must be above 0", "prefill_seconds_per_token")
        if not cost.decode_takes_time:
            raise ValidationError("a decode coefficient must be above 0", "decode_base_seconds")


class Limits(Schema):
    """What the times may not exceed; those not given are not limited."""

    ttft_p50_seconds = _most("median time to first token")
    ttft_p99_seconds = _most("99th percentile of the time to first token")
    tpot_p50_seconds = _most("median time per token after the first")
    tpot_p99_seconds = _most("99th percentile of the time per token after the first")


class TuneInference(Schema):
    """Parameters of `tune_inference`."""

    trace = TraceField(
        "requests: a CSV file with its column names, or rows of [arrival, context_tokens, generated_tokens]; "
        "arrivals are ISO 8601 times or seconds"
    )
    cost_model = fields.Nested(Cost, required=True)
    batch_limits = _choices(
        "most requests in the batch, to compare",
        _whole("most requests in the batch", 1, MAX_BATCH),
        [1, 2, 4, 8, 16, 32, 64, 128, 256],
    )
    kv_capacity_tokens = _whole(
        "KV entries of the server (capacity_tokens of optimize_kv_cache); default: no bound",
        1,
        MAX_BYTES,
        load_default=None,
    )
    prefill_token_budget = _whole(
        "context tokens of one prefill iteration; a longer prompt goes alone; default: no bound",
        1,
        MAX_BYTES,
        load_default=None,
    )
    rate_factor = fields.Float(
        load_default=1.0,
        validate=validate.Range(1e-6, 1e6),
        metadata={"description": "requests arrive so many times as fast as in the trace"},
    )
    limits = fields.Nested(Limits, load_default=dict)
    throughput_tolerance = fields.Float(
        load_default=0.001,
        validate=validate.Range(0, 1),
        metadata={"description": "throughputs closer to the highest than this share of it count as equal"},
    )
