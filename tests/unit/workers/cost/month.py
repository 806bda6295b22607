"""A month of billing data whose answers are known in closed form: 20 instances, 720 hours, three commitments.

    vm-large  0.10 an hour  10 on demand: number k runs in k tenths of the hours, nested; so the hours with u
                            of them running, u = 1..10, are a tenth each
                            2 more under plan-1 at 0.06, always running
    vm-small  0.05          5 under plan-2 at 0.03, always running; plan-2 has 6 units
    vm-gpu    2.00          2 on demand, always running
                            1 under plan-3 at 1.20, running half of the hours

The seed shuffles which hours are which, and the rows; no answer depends on it.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.unit.workers.billing import HEADER, charge

if TYPE_CHECKING:
    from tests.unit.workers.billing import Rows

HOURS = 720
MONTH_HEADER = [*HEADER, "ResourceId", "ResourceType", "ServiceCategory", "Tags"]
PRICE = {"vm-large": "0.10", "vm-small": "0.05", "vm-gpu": "2.00"}
COMMITTED_PRICE = {"vm-large": "0.06", "vm-small": "0.03", "vm-gpu": "1.20"}
PLAN = {"vm-large": "plan-1", "vm-small": "plan-2", "vm-gpu": "plan-3"}
_START = datetime(2024, 9, 1)  # noqa: DTZ001 - as in the data


def hour_of(index: int, hours: int = 1) -> dict[str, str]:
    """Return the period of a charge that begins so many hours into September 2024."""
    start = _START + timedelta(hours=index)
    return {
        "ChargePeriodStart": start.isoformat(" "),
        "ChargePeriodEnd": (start + timedelta(hours=hours)).isoformat(" "),
    }


def instance(name: str, sku: str, index: int, **fields: Any) -> dict[str, Any]:
    """Return an on-demand hour of an instance; odd numbers are tagged as development."""
    price = PRICE[sku]
    environment = "dev" if int(name.rpartition("-")[2]) % 2 else "prod"
    return charge(
        **{
            **hour_of(index),
            "BilledCost": price,
            "EffectiveCost": price,
            "ListCost": price,
            "SkuId": sku,
            "ResourceId": name,
            "ResourceType": "instance",
            "ServiceCategory": "Compute",
            "Tags": f'{{"environment": "{environment}"}}',
            **fields,
        }
    )


def committed(name: str, sku: str, index: int) -> dict[str, Any]:
    """Return an hour of an instance under its SKU's commitment."""
    return instance(
        name, sku, index, BilledCost="0", EffectiveCost=COMMITTED_PRICE[sku], **_plan(sku, "Used")
    )


def unused(sku: str, index: int) -> dict[str, Any]:
    """Return an hour of one unit of a commitment that nothing used."""
    return charge(
        **{
            **hour_of(index),
            "BilledCost": "0",
            "EffectiveCost": COMMITTED_PRICE[sku],
            "ListCost": "0",
            "ConsumedQuantity": "NULL",
            "SkuId": sku,
            "ServiceCategory": "Compute",
            **_plan(sku, "Unused"),
        }
    )


def _plan(sku: str, status: str) -> dict[str, str]:
    return {
        "PricingCategory": "Committed",
        "CommitmentDiscountId": PLAN[sku],
        "CommitmentDiscountType": "Reserved",
        "CommitmentDiscountStatus": status,
    }


def month(seed: int = 1) -> Rows:
    """Return the rows of the month."""
    chance = random.Random(seed)
    shuffled = list(range(HOURS))
    chance.shuffle(shuffled)
    rows: Rows = []
    for k in range(1, 11):
        rows += [instance(f"large-{k}", "vm-large", hour) for hour in shuffled[: HOURS // 10 * k]]
    for hour in range(HOURS):
        rows += [committed(f"large-{k}", "vm-large", hour) for k in (11, 12)]
        rows += [committed(f"small-{k}", "vm-small", hour) for k in range(1, 6)]
        rows.append(unused("vm-small", hour))
        rows += [instance(f"gpu-{k}", "vm-gpu", hour) for k in (1, 2)]
    rows += [committed("gpu-3", "vm-gpu", hour) for hour in shuffled[: HOURS // 2]]
    rows += [unused("vm-gpu", hour) for hour in shuffled[HOURS // 2 :]]
    chance.shuffle(rows)
    return rows
