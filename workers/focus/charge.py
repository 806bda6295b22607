"""A charge: one row of FOCUS 1.0 billing data, reduced to the columns the analysis reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from orchestrator import PermanentError
from workers.focus import values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from decimal import Decimal

    Record = Sequence[str]
    SkuKey = tuple[str, str | None, str | None]


class Charge(NamedTuple):
    """The fields, named after the FOCUS 1.0 columns they come from (see COLUMNS)."""

    charge_period_start: datetime
    billed_cost: Decimal
    effective_cost: Decimal | None
    list_cost: Decimal | None
    service_name: str | None
    sub_account_id: str | None
    billing_account_id: str | None
    region_id: str | None
    billing_currency: str | None
    charge_period_end: datetime | None
    charge_category: str | None
    charge_class: str | None
    pricing_category: str | None
    commitment_discount_id: str | None
    commitment_discount_type: str | None
    commitment_discount_status: str | None
    sku_id: str | None
    pricing_unit: str | None
    pricing_quantity: Decimal | None
    consumed_quantity: Decimal | None
    described_as_idle: bool

    @property
    def sku_key(self) -> SkuKey | None:
        """SkuId, PricingUnit, RegionId: within one key quantities and prices compare."""
        return (self.sku_id, self.pricing_unit, self.region_id) if self.sku_id else None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "ChargePeriodStart": values.required_moment,
    "BilledCost": values.required_amount,
    "EffectiveCost": values.amount,
    "ListCost": values.amount,
    "ServiceName": values.text,
    "SubAccountId": values.text,
    "BillingAccountId": values.text,
    "RegionId": values.text,
    "BillingCurrency": values.text,
    "ChargePeriodEnd": values.moment,
    "ChargeCategory": values.text,
    "ChargeClass": values.text,
    "PricingCategory": values.text,
    "CommitmentDiscountId": values.text,
    "CommitmentDiscountType": values.text,
    "CommitmentDiscountStatus": values.text,
    "SkuId": values.text,
    "PricingUnit": values.text,
    "PricingQuantity": values.amount,
    "ConsumedQuantity": values.amount,
    "ChargeDescription": values.says_idle,
}
COLUMNS = tuple(_PARSERS)
"""The columns read, in the order of Charge's fields; a record holds their texts in this order."""
POSITION = {name: position for position, name in enumerate(COLUMNS)}
_PARSER_LIST = tuple(_PARSERS.values())


def read_charge(row: int, record: Record) -> Charge:
    """Return the record as a charge, or raise PermanentError naming row, column and remedy."""
    try:
        charge = Charge._make([parse(value) for parse, value in zip(_PARSER_LIST, record, strict=True)])
    except values.FieldError:
        _refuse(row, record)
    if charge.charge_period_end is not None and charge.charge_period_end < charge.charge_period_start:
        raise bad_field(row, "ChargePeriodEnd", "lies before ChargePeriodStart; correct one of the two")
    return charge


def read_start(row: int, record: Record) -> datetime:
    """Return only when the charge begins, with the same refusals as read_charge."""
    try:
        return values.required_moment(record[POSITION["ChargePeriodStart"]])
    except values.FieldError as error:
        raise bad_field(row, "ChargePeriodStart", str(error)) from None


def bad_field(row: int, column: str, problem: str) -> PermanentError:
    """Return the error for one field; rows are counted from 1, the header not included."""
    return PermanentError(f"row {row}, column {column}: {problem}")


def _refuse(row: int, record: Record) -> NoReturn:
    for column, value in zip(COLUMNS, record, strict=True):
        try:
            _PARSERS[column](value)
        except values.FieldError as error:
            raise bad_field(row, column, str(error)) from None
    raise AssertionError(f"row {row} was refused, yet every field of it is good")
