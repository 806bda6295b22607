"""The first pass: when the charges begin and end, and which SKUs a commitment already covers somewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator import PermanentError
from workers.focus import values
from workers.focus.charge import POSITION, read_start

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from workers.focus.charge import Record, SkuKey

MAX_COMMITTED_SKUS = 500
_SUB_ACCOUNT, _BILLING_ACCOUNT = POSITION["SubAccountId"], POSITION["BillingAccountId"]
_STATUS = POSITION["CommitmentDiscountStatus"]
_SKU = (POSITION["SkuId"], POSITION["PricingUnit"], POSITION["RegionId"])


@dataclass(slots=True)
class Survey:
    """What one pass over the records of the chosen account finds."""

    rows: int = 0
    """All rows of the source."""
    selected_rows: int = 0
    first_charge: datetime | None = None
    last_charge: datetime | None = None
    """The latest ChargePeriodStart."""
    committed_skus: set[SkuKey] = field(default_factory=set)
    committed_skus_left_out: bool = False
    """More than MAX_COMMITTED_SKUS have committed usage."""


def belongs_to(record: Record, account_id: str | None) -> bool:
    """Whether the row is of the account: its SubAccountId or its BillingAccountId is that id, exactly."""
    return account_id is None or account_id in (record[_SUB_ACCOUNT], record[_BILLING_ACCOUNT])


def _sku_key(record: Record) -> SkuKey | None:
    try:
        sku, unit, region = (values.text(record[position]) for position in _SKU)
    except values.FieldError:
        return None
    return (sku, unit, region) if sku else None


def survey(records: Iterable[tuple[int, Record]], account_id: str | None) -> Survey:
    """Read to the end; raises PermanentError when no row is left to analyse, or one has no readable start."""
    found = Survey()
    for row, record in records:
        found.rows = row
        if belongs_to(record, account_id):
            _note(found, row, record)
    if not found.rows:
        raise PermanentError("row 1: there is none; give at least one row below the header")
    if not found.selected_rows:
        raise PermanentError(
            f"columns SubAccountId, BillingAccountId: none of {found.rows} rows has account_id "
            f"{values.shown(account_id or '')}, so the period is empty; check the id, or leave it out"
        )
    return found


def _note(found: Survey, row: int, record: Record) -> None:
    start = read_start(row, record)
    found.selected_rows += 1
    if found.first_charge is None or start < found.first_charge:
        found.first_charge = start
    if found.last_charge is None or start > found.last_charge:
        found.last_charge = start
    if record[_STATUS] == "Used":
        _note_committed(found, _sku_key(record))


def _note_committed(found: Survey, key: SkuKey | None) -> None:
    """Remember the SKU; one that the second pass will refuse for its length is left to it."""
    if key is None or key in found.committed_skus:
        return
    if len(found.committed_skus) < MAX_COMMITTED_SKUS:
        found.committed_skus.add(key)
    else:
        found.committed_skus_left_out = True
