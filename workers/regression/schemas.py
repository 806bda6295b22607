"""The parameters of `detect_regression`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from workers.focus.values import FieldError
from workers.regression.ranking import Worse
from workers.series import MAX_INLINE_POINTS, SeriesField
from workers.series.points import read_time

if TYPE_CHECKING:
    from workers.series import SeriesSpec

_NUMBERS = {
    "type": "array",
    "description": "plain numbers in the order of time",
    "minItems": 1,
    "maxItems": MAX_INLINE_POINTS,
    "items": {"type": "number"},
}


class SampleField(fields.Field[Any]):
    """A series as SeriesField takes it, or a list of numbers, checked one by one when they are read."""

    def __init__(self, description: str) -> None:
        self._series = SeriesField()
        forms = [*self._series.metadata["oneOf"], _NUMBERS]
        super().__init__(load_default=None, metadata={"description": description, "oneOf": forms})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> SeriesSpec | list[Any]:
        spec: SeriesSpec = self._series.deserialize(value)
        is_plain = isinstance(value, list) and not (value and isinstance(value[0], list))
        return list(value) if is_plain else spec


class Moment(fields.Field[int]):
    """Microseconds since 1970, from ISO 8601 text (without a zone: UTC) or from seconds since 1970."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        try:
            return read_time(value)
        except FieldError as error:
            raise ValidationError(str(error)) from None


class DetectRegression(Schema):
    """Either `series`, or both `baseline` and `candidate`."""

    series = SampleField("values over time, to be searched for a change")
    baseline = SampleField("values before, or of the version that is known")
    candidate = SampleField("values after, or of the version in question")
    change_at = Moment(
        load_default=None,
        metadata={
            "type": ["string", "number"],
            "description": "for a series with times: when the change was made, if that is known; values from "
            "then on are the candidate. At a known time smaller changes show than at an unknown one",
        },
    )
    worse = fields.String(
        load_default=Worse.EITHER.value,
        validate=validate.OneOf([item.value for item in Worse]),
        metadata={"description": "in which direction a change is a regression"},
    )
    level = fields.Float(
        load_default=0.05,
        allow_nan=False,
        validate=validate.Range(0.0001, 0.2),
        metadata={"description": "largest share of false alarms on noise"},
    )
    power = fields.Float(
        load_default=0.8,
        allow_nan=False,
        validate=validate.Range(0.5, 0.99),
        metadata={"description": "with which probability the minimum detectable effect would be found"},
    )
    minimum_shift = fields.Float(
        load_default=0.0,
        allow_nan=False,
        validate=validate.Range(min=0),
        metadata={"description": "smaller Hodges-Lehmann shifts are no regression; in the values' unit"},
    )
    independent = fields.Boolean(
        load_default=False,
        metadata={
            "description": "for two samples of which every value is known to be independent of the others: "
            "test without allowing for autocorrelation"
        },
    )

    @validates_schema
    def one_way_in(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse anything but a series alone or two samples alone, and options that do not go with it."""
        samples = [name for name in ("baseline", "candidate") if data.get(name) is not None]
        if data.get("series") is None:
            if len(samples) != len(("baseline", "candidate")):
                raise ValidationError("give either series, or both baseline and candidate", "series")
            if data.get("change_at") is not None:
                raise ValidationError("only a series is cut at a time", "change_at")
        elif samples:
            raise ValidationError("give either series, or both baseline and candidate", "series")
        elif data.get("independent"):
            raise ValidationError("values of one series are never known to be independent", "independent")
