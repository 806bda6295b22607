"""Billing data made for a test, and the sums a plain reading of it gives."""

from __future__ import annotations

import csv
import os
import random
from collections import defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from workers.cost import agent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Rows = list[dict[str, Any]]
PROJECT = Path(__file__).resolve().parents[3]


def charge(**fields: Any) -> dict[str, Any]:
    """Return one plain on-demand charge of a dollar, with the given columns changed."""
    return {
        "BilledCost": "1",
        "EffectiveCost": "1",
        "ListCost": "1",
        "BillingCurrency": "USD",
        "ChargePeriodStart": "2024-09-30 10:00:00",
        "ChargePeriodEnd": "2024-09-30 11:00:00",
        "ChargeCategory": "Usage",
        "ChargeClass": "NULL",
        "ChargeDescription": "compute per hour",
        "ServiceName": "Compute",
        "SubAccountId": "sub-1",
        "BillingAccountId": "bill-1",
        "RegionId": "eu",
        "PricingCategory": "Standard",
        "CommitmentDiscountId": "NULL",
        "CommitmentDiscountType": "NULL",
        "CommitmentDiscountStatus": "NULL",
        "SkuId": "sku-1",
        "PricingUnit": "Hours",
        "PricingQuantity": "1",
        "ConsumedQuantity": "1",
        **fields,
    }


HEADER = list(charge())


def on_day(day: int, **fields: Any) -> dict[str, Any]:
    """Return a charge of one hour on a day of September 2024."""
    date = f"2024-09-{day:02}"
    return charge(ChargePeriodStart=f"{date} 10:00:00", ChargePeriodEnd=f"{date} 11:00:00", **fields)


def analyze_rows(rows: Rows, **parameters: Any) -> dict[str, Any]:
    return agent.run("analyze_cost", {"rows": rows, **parameters})


def write_csv(path: Path, rows: Iterable[dict[str, Any]], header: list[str] | None = None) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header or HEADER, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def random_charges(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield charges of 40 days, hourly and daily mixed, some negative, some without a region or service."""
    chance = random.Random(seed)
    for _ in range(count):
        start = datetime(2024, 8, 22) + timedelta(hours=chance.randrange(40 * 24))  # noqa: DTZ001 - as in the data
        daily = chance.random() < 0.2
        start = start.replace(hour=0) if daily else start
        yield charge(
            BilledCost=f"{chance.randrange(-(10**9), 10**12)}e-{chance.randrange(4, 12)}",
            EffectiveCost=f"{chance.random():.11f}",
            ListCost=f"{chance.random():.9f}",
            ChargePeriodStart=start.isoformat(" "),
            ChargePeriodEnd=(start + timedelta(hours=24 if daily else 1)).isoformat(" "),
            ServiceName=chance.choice(["Compute", "Storage", "NULL", *[f"Service {n}" for n in range(60)]]),
            SubAccountId=f"sub-{chance.randrange(90)}",
            BillingAccountId=f"bill-{chance.randrange(3)}",
            RegionId=chance.choice(["eu", "us", "NULL", ""]),
        )


def sums_by(rows: Iterable[dict[str, Any]], key: str, cost: str = "BilledCost") -> dict[str | None, Fraction]:
    """Sum a cost with fractions, which cannot round."""
    sums: dict[str | None, Fraction] = defaultdict(Fraction)
    for row in rows:
        name = row["ChargePeriodStart"][:10] if key == "day" else row[key]
        sums[None if name in ("", "NULL") else name] += Fraction(row[cost])
    return dict(sums)


def real_data(path: str) -> Path:
    """Return a file of the real data; skip without it, but fail in CI."""
    folder = Path(os.environ.get("ORCHESTRATOR_TEST_DATA") or PROJECT.parent / "shared" / "data")
    file = folder / path
    if not file.is_file():
        message = f"no real data at {path}; set ORCHESTRATOR_TEST_DATA"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return file
