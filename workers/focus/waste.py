"""Charges that bought nothing: unused commitments, what is called idle, usage that consumed nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.focus.amounts import decimal_text
from workers.focus.recommendation import MAX_GROUPS, CheckReport, Evidence, Recommendation

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from workers.focus.charge import Charge

    Subject = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class WasteKind:
    """What one check looks for."""

    type: str
    columns: tuple[str, ...]
    subject_names: tuple[str, ...]
    subject_of: Callable[[Charge], Subject]
    cost_of: Callable[[Charge], Decimal | None]
    formula: str


UNUSED_COMMITMENT = WasteKind(
    type="unused_commitment",
    columns=("ChargeCategory", "CommitmentDiscountId", "CommitmentDiscountStatus"),
    subject_names=("commitment_discount_id", "commitment_discount_type"),
    subject_of=lambda charge: (charge.commitment_discount_id, charge.commitment_discount_type),
    cost_of=lambda charge: charge.effective_cost,
    formula="sum of EffectiveCost where ChargeCategory is Usage and CommitmentDiscountStatus is Unused",
)
DESCRIBED_AS_IDLE = WasteKind(
    type="charge_described_as_idle",
    columns=("ChargeCategory", "ChargeDescription"),
    subject_names=("service", "sku_id"),
    subject_of=lambda charge: (charge.service_name, charge.sku_id),
    cost_of=lambda charge: charge.billed_cost,
    formula=(
        "sum of BilledCost where ChargeCategory is Usage, ChargeDescription has the word idle, "
        "and CommitmentDiscountId and ChargeClass have no value"
    ),
)
NOTHING_CONSUMED = WasteKind(
    type="billed_without_consumption",
    columns=("ChargeCategory", "ConsumedQuantity"),
    subject_names=("service", "sku_id"),
    subject_of=lambda charge: (charge.service_name, charge.sku_id),
    cost_of=lambda charge: charge.billed_cost,
    formula=(
        "sum of BilledCost where ChargeCategory is Usage, ConsumedQuantity is 0, ChargeDescription has not "
        "the word idle, and CommitmentDiscountId and ChargeClass have no value"
    ),
)
WASTE_KINDS = (UNUSED_COMMITMENT, DESCRIBED_AS_IDLE, NOTHING_CONSUMED)


def kind_of(charge: Charge) -> WasteKind | None:
    """Return the one kind of waste a charge belongs to, or None."""
    if charge.charge_category != "Usage":
        return None
    if charge.commitment_discount_status == "Unused":
        return UNUSED_COMMITMENT
    if charge.commitment_discount_id is not None or charge.charge_class is not None:
        return None
    if charge.described_as_idle:
        return DESCRIBED_AS_IDLE
    if charge.consumed_quantity == 0 and charge.consumed_quantity is not None:
        return NOTHING_CONSUMED
    return None


@dataclass(slots=True)
class WasteCheck:
    """The charges of one kind, by subject."""

    kind: WasteKind
    groups: dict[Subject, Evidence] = field(default_factory=dict)
    unpriced_rows: int = 0
    ungrouped_rows: int = 0
    """Rows of subjects beyond MAX_GROUPS: they are not recommended on."""

    def add(self, row: int, charge: Charge) -> None:
        """Count a charge of this kind."""
        cost = self.kind.cost_of(charge)
        subject = self.kind.subject_of(charge)
        if cost is None:
            self.unpriced_rows += 1
        elif subject in self.groups or len(self.groups) < MAX_GROUPS:
            self.groups.setdefault(subject, Evidence()).add(row, cost)
        else:
            self.ungrouped_rows += 1

    def report(self, missing: frozenset[str]) -> CheckReport:
        """Return a recommendation for each subject whose costs and credits sum to more than 0."""
        absent = [column for column in self.kind.columns if column in missing]
        if absent:
            return CheckReport(self.kind.type, insufficient=f"the input has no column {', '.join(absent)}")
        recommended = [self._recommend(*item) for item in self.groups.items() if item[1].cost > 0]
        return CheckReport(self.kind.type, recommended, self._left_out())

    def _left_out(self) -> str | None:
        if self.unpriced_rows:
            return f"{self.unpriced_rows} rows have no EffectiveCost, so what they would save is not known"
        if self.ungrouped_rows:
            return f"{self.ungrouped_rows} rows beyond the first {MAX_GROUPS} subjects were left out"
        return None

    def _recommend(self, subject: Subject, evidence: Evidence) -> Recommendation:
        return Recommendation(
            type=self.kind.type,
            subject=dict(zip(self.kind.subject_names, subject, strict=True)),
            saving=evidence.cost,
            formula=self.kind.formula,
            inputs={"rows": evidence.count, "cost": decimal_text(evidence.cost)},
            evidence=evidence,
        )
