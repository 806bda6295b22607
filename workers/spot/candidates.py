"""What billing data says of each instance: its hours and cost by pricing, and its tags."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.focus.amounts import ZERO
from workers.focus.charge import bad_field
from workers.focus.values import MAX_KEY_CHARACTERS

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.focus.usage import Usage, UsagePeriod

MAX_RESOURCES = 50_000
MAX_TAGS_CHARACTERS = 65_536
_SPOT = "Dynamic"
"""FOCUS: a price that the provider sets from supply and demand."""


@dataclass(slots=True)
class Candidate:
    """One instance in a period; hours are PricingQuantity."""

    id: str
    first_row: int
    service: str | None = None
    region: str | None = None
    on_demand_hours: Decimal = ZERO
    on_demand_cost: Decimal = ZERO
    committed_hours: Decimal = ZERO
    spot_hours: Decimal = ZERO
    other_hours: Decimal = ZERO
    """Priced in a way that FOCUS calls neither Standard, Committed nor Dynamic."""
    tags: dict[str, str] = field(default_factory=dict)
    """Those asked for, of the last row that has tags."""

    def add(self, usage: Usage, tag_keys: frozenset[str]) -> None:
        """Count a charge for compute time."""
        charge = usage.charge
        hours = charge.pricing_quantity or ZERO
        self.service = self.service or charge.service_name
        self.region = self.region or charge.region_id
        if charge.commitment_discount_status is not None or charge.commitment_discount_id is not None:
            self.committed_hours += hours
        elif charge.pricing_category == "Standard":
            self.on_demand_hours += hours
            self.on_demand_cost += charge.billed_cost
        elif charge.pricing_category == _SPOT:
            self.spot_hours += hours
        else:
            self.other_hours += hours
        if tag_keys and usage.tags not in ("", "NULL"):
            self.tags = read_tags(usage.row, usage.tags, tag_keys)


@dataclass(slots=True)
class Candidates:
    """The instances of a period, at most MAX_RESOURCES."""

    types: frozenset[str] | None
    tag_keys: frozenset[str]
    by_id: dict[str, Candidate] = field(default_factory=dict)
    rows_without_resource: int = 0
    left_out_rows: int = 0
    other_type_rows: int = 0
    """Compute time of what is no instance."""

    def read(self, period: UsagePeriod) -> None:
        """Count every charge of the period."""
        for usage in period.usages():
            if usage.is_instance(self.types):
                self._add(usage)
            elif usage.is_compute_time:
                self.other_type_rows += 1

    def _add(self, usage: Usage) -> None:
        name = usage.resource_id
        if name is None:
            self.rows_without_resource += usage.charge.commitment_discount_status != "Unused"
            return
        if name not in self.by_id:
            if len(self.by_id) >= MAX_RESOURCES:
                self.left_out_rows += 1
                return
            self.by_id[name] = Candidate(name, usage.row)
        self.by_id[name].add(usage, self.tag_keys)


def read_tags(row: int, text: str, keys: frozenset[str]) -> dict[str, str]:
    """Return tags of a Tags column, as texts; longer values than any that could be asked for are left out.

    Raises PermanentError for what is no JSON object.
    """
    try:
        tags = json.loads(text) if len(text) <= MAX_TAGS_CHARACTERS else None
    except (ValueError, RecursionError):
        tags = None
    if not isinstance(tags, dict):
        raise bad_field(
            row, "Tags", f"is no JSON object of at most {MAX_TAGS_CHARACTERS} characters, as FOCUS has it"
        )
    texts = {
        key: tags[key] if isinstance(tags[key], str) else json.dumps(tags[key]) for key in keys if key in tags
    }
    return {key: value for key, value in texts.items() if len(value) <= MAX_KEY_CHARACTERS}
