"""Parameters that every task type on billing data takes, and exact numbers among parameters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from workers.focus.amounts import decimal_text
from workers.focus.period import PeriodName
from workers.focus.values import MAX_KEY_CHARACTERS, FieldError, amount

MAX_INLINE_ROWS = 10_000
MAX_PATH_CHARACTERS = 1_024
MAX_RESOURCE_TYPES = 50
INSTANCE_TYPES = ("instance", "virtual machine", "virtual machine scale set")
SAFE_FLOAT_DIGITS = 15
"""A JSON number of so many significant digits comes through binary floating point unchanged."""


class ExactNumber(fields.Field[Decimal]):
    """A decimal number within bounds, exact: a text, or a JSON number of at most SAFE_FLOAT_DIGITS digits."""

    def __init__(self, description: str, *, low: str, high: str, **options: Any) -> None:
        self._low, self._high = Decimal(low), Decimal(high)
        metadata = {
            "description": f"{description} ({low} to {high})",
            "type": ["string", "number"],
        }
        if isinstance(options.get("load_default"), str):
            options["load_default"] = Decimal(options["load_default"])
        super().__init__(metadata=metadata, **options)

    def _serialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        return None if value is None else decimal_text(value)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValidationError("give a decimal number, as a text or a JSON number")
        try:
            number = amount(value if isinstance(value, str) else _text(value))
        except FieldError as error:
            raise ValidationError(str(error)) from None
        if number is None or not self._low <= number <= self._high:
            raise ValidationError(f"must be a number from {self._low} to {self._high}")
        return number


def _text(value: float) -> str:
    if isinstance(value, int):
        if abs(value) >= 10**SAFE_FLOAT_DIGITS:
            raise ValidationError("has too many digits for a JSON number; send it as a text")
        return str(value)
    text = repr(value)
    if sum(character.isdigit() for character in text.partition("e")[0].strip("0.")) > SAFE_FLOAT_DIGITS:
        raise ValidationError("has too many digits for a JSON number; send it as a text")
    return text


class BillingSchema(Schema):
    """Exactly one of `path` and `rows`."""

    path = fields.String(
        load_default=None,
        validate=validate.Length(min=1, max=MAX_PATH_CHARACTERS),
        metadata={"description": "CSV file of FOCUS 1.0 billing data, inside the agent's data folder"},
    )
    rows = fields.List(
        fields.Dict(keys=fields.String()),
        load_default=None,
        validate=validate.Length(max=MAX_INLINE_ROWS),
        metadata={"description": "charges as objects with FOCUS 1.0 column names as keys"},
    )
    account_id = fields.String(
        load_default=None,
        validate=[validate.Length(min=1, max=MAX_KEY_CHARACTERS), validate.NoneOf(["NULL"])],
        metadata={"description": "only charges with this SubAccountId or BillingAccountId"},
    )
    period = fields.String(
        load_default=PeriodName.ALL.value,
        validate=validate.OneOf([name.value for name in PeriodName]),
        metadata={"description": "whole UTC days, counted back from the day of the last charge"},
    )

    @validates_schema
    def one_source(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse two sources at once, and none."""
        require_one(data, ("path", "rows"))


class AnalyzeCost(BillingSchema):
    """The parameters of `analyze_cost`."""


class ResourceTypes(fields.List[str]):
    """Which values of ResourceType are instances."""

    def __init__(self) -> None:
        super().__init__(
            fields.String(validate=validate.Length(1, MAX_KEY_CHARACTERS)),
            load_default=lambda: list(INSTANCE_TYPES),
            allow_none=True,
            validate=validate.Length(1, MAX_RESOURCE_TYPES),
            metadata={
                "description": f"values of ResourceType that are instances, whatever their case (default: "
                f"{', '.join(INSTANCE_TYPES)}); null: any compute capacity priced by the hour"
            },
        )


def require_one(data: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raise ValidationError unless exactly one of the fields was given."""
    if sum(data.get(name) is not None for name in names) != 1:
        raise ValidationError(f"give exactly one of {' and '.join(names)}", names[0])
