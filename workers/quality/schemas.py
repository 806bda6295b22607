"""The parameters of `validate_quality`."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from workers.quality.bleu import TOKENIZER_NAMES
from workers.quality.judgement import Criterion

MAX_PAIRS = 10_000
MAX_REFERENCES = 10
"""References of one output."""
MAX_TEXT_CHARACTERS = 100_000
MAX_ALL_CHARACTERS = 4_000_000
"""All texts together: the slowest of that size take about half a minute."""
AUTO = "auto"

_text = validate.Length(max=MAX_TEXT_CHARACTERS)


class References(fields.Field[list[str]]):
    """One reference text, or a list of equally good ones."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValidationError("give a text or a list of texts")
        if not 1 <= len(texts) <= MAX_REFERENCES:
            raise ValidationError(f"give 1 to {MAX_REFERENCES} references for an output")
        for text in texts:
            _text(text)
        return texts


class Thresholds(Schema):
    """The least score of each metric that is good enough."""

    exact_match = fields.Float(
        allow_nan=False,
        validate=validate.Range(0, 1),
        metadata={"description": "share of equal outputs, 0 to 1"},
    )
    token_f1 = fields.Float(
        allow_nan=False, validate=validate.Range(0, 1), metadata={"description": "mean F1 over words, 0 to 1"}
    )
    rouge_l = fields.Float(
        allow_nan=False, validate=validate.Range(0, 1), metadata={"description": "mean ROUGE-L, 0 to 1"}
    )
    bleu = fields.Float(
        allow_nan=False, validate=validate.Range(0, 100), metadata={"description": "corpus BLEU, 0 to 100"}
    )


class ValidateQuality(Schema):
    """As many references as outputs; together at most MAX_ALL_CHARACTERS."""

    outputs = fields.List(
        fields.String(validate=_text),
        required=True,
        validate=validate.Length(min=1, max=MAX_PAIRS),
        metadata={"description": "texts to judge, empty ones included"},
    )
    references = fields.List(
        References(metadata={"type": ["string", "array"], "items": {"type": "string"}}),
        required=True,
        validate=validate.Length(min=1, max=MAX_PAIRS),
        metadata={
            "description": "for each output, in the same order: a text, or a list of equally good ones"
        },
    )
    thresholds = fields.Nested(
        Thresholds, load_default=dict, metadata={"description": "least scores; all must be reached to pass"}
    )
    criterion = fields.String(
        load_default=Criterion.ESTIMATE.value,
        validate=validate.OneOf([item.value for item in Criterion]),
        metadata={"description": "whether the estimate or its interval's lower bound must reach a threshold"},
    )
    match = fields.String(
        load_default="text",
        validate=validate.OneOf(["text", "words"]),
        metadata={"description": "exact match of texts, or of words regardless of case and punctuation"},
    )
    bleu_tokenizer = fields.String(
        load_default=AUTO,
        validate=validate.OneOf([AUTO, *TOKENIZER_NAMES]),
        metadata={"description": "of sacreBLEU; auto: char for scripts without spaces, else 13a"},
    )
    confidence = fields.Float(
        load_default=0.95,
        allow_nan=False,
        validate=validate.Range(0.5, 0.999),
        metadata={"description": "coverage of the intervals"},
    )
    resamples = fields.Integer(
        strict=True,
        load_default=1_000,
        validate=validate.Range(100, 10_000),
        metadata={"description": "draws of the bootstrap"},
    )
    seed = fields.Integer(
        strict=True,
        load_default=0,
        validate=validate.Range(0, 2**32 - 1),
        metadata={"description": "of the bootstrap: the same seed, the same intervals"},
    )

    @validates_schema
    def same_count(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse unequal counts, and more text than a run may take."""
        outputs, references = data["outputs"], data["references"]
        if len(outputs) != len(references):
            raise ValidationError(f"{len(outputs)} outputs, but {len(references)} references", "references")
        size = sum(map(len, outputs)) + sum(len(text) for wanted in references for text in wanted)
        if size > MAX_ALL_CHARACTERS:
            raise ValidationError(
                f"{size} characters in all; at most {MAX_ALL_CHARACTERS} are taken: split the pairs",
                "outputs",
            )
