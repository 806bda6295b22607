"""Right-sizing: sizes and savings in closed form, the fitting size by trying all, real CPU series."""

from __future__ import annotations

import csv
import random
from fractions import Fraction
from typing import Any

import pytest

from tests.unit.workers.billing import real_data
from workers.cost import agent
from workers.rightsizing.catalogue import shipped_catalogue

DAY = 86_400
LADDER = [
    "m5.large",
    "m5.xlarge",
    "m5.2xlarge",
    "m5.4xlarge",
    "m5.8xlarge",
    "m5.12xlarge",
    "m5.16xlarge",
    "m5.24xlarge",
]
PRICES = {"m5.large": "0.1", "m5.xlarge": "0.2", "m5.2xlarge": "0.4", "m5.4xlarge": "0.8"}
NAB = ("24ae8d", "53ea38", "825cc2", "ac20cd")


def flat(value: float, days: int = 8) -> list[list[float]]:
    return [[day * DAY, value] for day in range(days)]


def one(size: str, cpu: Any, memory: Any = None, name: str = "i-1") -> dict[str, Any]:
    return {"id": name, "size": size, "cpu": cpu, **({} if memory is None else {"memory": memory})}


def right_size(*instances: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return agent.run("right_size", {"instances": list(instances), **parameters})


def test_totals_are_the_names_that_older_clients_read() -> None:
    """Two m5.2xlarge shrink by half, an m5.4xlarge too, and an m5.large grows to double."""
    result = right_size(
        one("m5.2xlarge", flat(10), flat(20), "a"),
        one("m5.2xlarge", flat(30), flat(40), "b"),
        one("m5.4xlarge", flat(5), flat(5), "c"),
        one("m5.large", flat(95), flat(10), "d"),
        one("m5.large", flat(10), flat(10), "e"),
        prices=PRICES,
    )
    assert result["total_instances"] == 5
    assert result["recommendations"] == [
        {"type": "downsize", "instances": 3, "monthly_savings": "584"},  # 730 * (0.2 + 0.2 + 0.4)
        {"type": "upsize", "instances": 1, "monthly_savings": "-73"},
    ]
    assert result["monthly_savings"] == "511"
    assert result["average_size_reduction"] == "50"
    assert result["insufficient_data"] == {}
    assert [(item["id"], item["action"]) for item in result["instances"]] == [
        ("c", "downsize"),
        ("a", "downsize"),
        ("b", "downsize"),
        ("d", "upsize"),
        ("e", "keep"),
    ]


def expected_size(size: str, cpu: float, memory: float, headroom: Fraction) -> str:
    """Try every size from the smallest: vCPUs double as the list goes, memory with them."""
    vcpus = dict(zip(LADDER, (2, 4, 8, 16, 32, 48, 64, 96), strict=True))
    for name in LADDER:
        if max(cpu, memory) * vcpus[size] <= 100 * (1 - headroom) * vcpus[name]:
            return name
    return LADDER[-1]


def test_without_a_limit_of_steps_the_smallest_size_that_fits_is_found() -> None:
    chance = random.Random(3)
    for _ in range(150):
        size = chance.choice(LADDER)
        cpu, memory = round(chance.uniform(0, 100), 1), round(chance.uniform(0, 100), 1)
        headroom = chance.choice(["0", "0.2", "0.5"])
        result = right_size(one(size, flat(cpu), flat(memory)), headroom=headroom, max_steps=None)
        expected = expected_size(size, cpu, memory, Fraction(headroom))
        assert result["instances"][0]["recommended_size"] == expected


@pytest.mark.parametrize(
    ("cpu", "headroom", "size"),
    [(40, "0.2", "m5.large"), (40.01, "0.2", "m5.xlarge"), (40, "0.21", "m5.xlarge")],
)
def test_headroom_is_met_exactly_at_its_edge(cpu: float, headroom: str, size: str) -> None:
    result = right_size(one("m5.xlarge", flat(cpu)), headroom=headroom)
    assert result["instances"][0]["recommended_size"] == size


def test_percentile_is_the_nearest_rank() -> None:
    """Of 1..100 percent so many percent of the points do not exceed their own value."""
    points = [[index * DAY, index + 1] for index in range(100)]
    for percentile in (50, 90, 95, 99, 100):
        cpu = right_size(one("m5.xlarge", points), cpu_percentile=percentile)["instances"][0]["cpu"]
        assert (cpu["value"], cpu["mean"], cpu["highest"]) == (percentile, 50.5, 100)


def test_one_step_at_a_time_names_the_size_it_goes_towards() -> None:
    item = right_size(one("m5.8xlarge", flat(1)))["instances"][0]
    assert (item["recommended_size"], item["fitting_size"]) == ("m5.4xlarge", "m5.large")
    assert "a step towards m5.large" in item["reason"]
    item = right_size(one("m5.8xlarge", flat(1)), max_steps=3)["instances"][0]
    assert item["recommended_size"] == "m5.xlarge"
    assert item["cpu"]["projected"] == 8


def test_memory_keeps_a_size_that_the_cpu_does_not_need() -> None:
    assert right_size(one("m5.xlarge", flat(5), flat(60)))["instances"][0]["action"] == "keep"
    assert right_size(one("m5.xlarge", flat(5), flat(90)))["instances"][0]["action"] == "upsize"
    alone = right_size(one("m5.xlarge", flat(5)))
    assert alone["instances"][0]["judged_by"] == ["cpu"]
    assert "judged by their CPUs alone" in alone["insufficient_data"]["memory"]


def test_largest_size_that_does_not_fit_is_kept_and_told() -> None:
    item = right_size(one("m5.24xlarge", flat(99.5)))["instances"][0]
    assert (item["action"], item["fitting_size"]) == ("keep", None)
    assert "it is the largest already" in item["reason"]
    assert "may have held the demand down" in item["notes"][0]


def test_without_prices_there_are_sizes_but_no_savings() -> None:
    result = right_size(one("m5.xlarge", flat(10)))
    assert result["monthly_savings"] is None
    assert result["average_size_reduction"] == "50"
    assert result["recommendations"] == [{"type": "downsize", "instances": 1, "monthly_savings": None}]
    assert "m5.large, m5.xlarge" in result["insufficient_data"]["monthly_savings"]
    nothing = right_size(one("m5.large", flat(10)))
    assert (nothing["monthly_savings"], nothing["average_size_reduction"]) == ("0", None)


def test_catalogue_of_the_caller_replaces_the_shipped_one() -> None:
    catalogue = [
        {"size": "huge", "cpu": 8, "memory": 64},
        {"size": "tiny", "cpu": "0.5", "memory": 1},
        {"size": "lean", "cpu": 4, "memory": 8},
        {"size": "wide", "cpu": 4, "memory": 32},
    ]
    asked = one("huge", flat(20), flat(35))
    item = right_size(asked, catalogue=catalogue, max_steps=None)["instances"][0]
    assert item["recommended_size"] == "wide"  # 35 % of 64 is more than the 8 of lean
    assert (item["cpu"]["projected"], item["memory"]["projected"]) == (40, 70)
    unknown = right_size(one("m5.large", flat(20)), catalogue=catalogue)
    assert "not in the catalogue" in unknown["insufficient_data"]["instances"]
    assert (unknown["monthly_savings"], unknown["instances"][0]["action"]) == (None, None)


def test_catalogue_without_memory_judges_only_the_present_size_by_it() -> None:
    catalogue = [{"size": "a", "cpu": 1}, {"size": "b", "cpu": 2}]
    assert right_size(one("b", flat(5), flat(5)), catalogue=catalogue)["instances"][0]["action"] == "keep"
    assert right_size(one("b", flat(5)), catalogue=catalogue)["instances"][0]["action"] == "downsize"


def test_families_do_not_mix() -> None:
    catalogue = [{"size": "a.1", "cpu": 1}, {"size": "b.2", "cpu": 2}, {"size": "b.4", "cpu": 4}]
    assert (
        right_size(one("b.4", flat(1)), catalogue=catalogue, max_steps=9)["instances"][0]["recommended_size"]
        == "b.2"
    )


def test_shipped_catalogue_has_sizes_and_ratios_and_no_prices() -> None:
    sizes = shipped_catalogue().sizes
    assert (sizes["m5.2xlarge"].cpu, sizes["m5.2xlarge"].memory) == (8, 32)
    assert (sizes["c5.18xlarge"].cpu, sizes["c5.18xlarge"].memory) == (72, 144)
    assert (sizes["r6g.medium"].cpu, sizes["r6g.medium"].memory) == (1, 8)
    assert not any("price" in field for field in type(sizes["m5.large"]).__dataclass_fields__)


def test_real_series_agree_with_a_plain_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: f"cloudwatch/ec2_cpu_utilization_{name}.csv" for name in NAB}
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(real_data(files["24ae8d"]).parents[1]))
    result = right_size(
        *(one("m5.2xlarge", {"path": path}, name=name) for name, path in files.items()),
        prices=PRICES,
        cpu_percentile="99.5",
    )
    for item in result["instances"]:
        with real_data(files[item["id"]]).open(newline="") as file:
            values = sorted(float(row["value"]) for row in csv.DictReader(file))
        # 0.5 % of 4,032 points are 20.16: at most 20 points may lie above
        assert item["cpu"]["value"] == pytest.approx(values[-21], abs=1e-4)
        assert item["cpu"]["highest"] == pytest.approx(values[-1], abs=1e-4)
        assert item["action"] == ("downsize" if values[-21] * 2 <= 80 else "upsize")
    assert result["average_size_reduction"] == "50"
    assert result["monthly_savings"] == "-292"  # 730 * (2 * 0.2 - 2 * 0.4)


def test_fewer_cpus_with_more_memory_are_taken_where_nothing_larger_fits() -> None:
    catalogue = [{"size": "wide", "cpu": 2, "memory": 32}, {"size": "lean", "cpu": 4, "memory": 8}]
    item = right_size(one("lean", flat(10), flat(95)), catalogue=catalogue)["instances"][0]
    assert (item["action"], item["recommended_size"]) == ("downsize", "wide")
    more = [*catalogue, {"size": "big", "cpu": 8, "memory": 16}]
    item = right_size(one("lean", flat(10), flat(95)), catalogue=more)["instances"][0]
    assert (item["action"], item["recommended_size"]) == ("upsize", "big")
