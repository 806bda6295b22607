"""The cost agent as a whole: its sample task, progress, a file that changes, a million rows."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

import workers.cost
from tests.support.alone import run_alone
from tests.unit.workers.billing import HEADER, PROJECT, charge, write_csv
from workers.cost import agent
from workers.focus.analysis import analyze
from workers.focus.period import PeriodName
from workers.focus.records import REPORTS_PER_PASS, FileChangedError, FileSource, RowSource

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000
MEMORY_LIMIT_MIB = 300


def test_sample_task_completes_with_recommendations() -> None:
    body = json.loads((PROJECT / "examples" / "cost" / "analyze_cost.json").read_text())
    result = agent.run(body["task_type"], body["parameters"])

    assert body["agent_type"] == "cost"
    rows = body["parameters"]["rows"]
    assert Fraction(result["total_spend"]) == sum(Fraction(row["BilledCost"]) for row in rows)
    assert {item["type"] for item in result["recommendations"]} == {
        "unused_commitment",
        "charge_described_as_idle",
        "commit_steady_usage",
    }


def test_importing_the_agent_builds_no_celery_application_and_reads_no_environment() -> None:
    code = (
        "import numpy, os, sys  # numpy looks at the environment itself\n"
        "os.environ = None; import workers.cost\n"
        "assert 'celery' not in sys.modules and 'celery' not in vars(workers.cost.agent)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=60)


def test_module_has_no_attribute_but_its_own() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'apps'"):
        _ = workers.cost.apps


@pytest.mark.parametrize("count", [1, 7, 39, 5_000])
def test_progress_rises_to_the_end_in_a_bounded_number_of_reports(tmp_path: Path, count: int) -> None:
    write_csv(tmp_path / "bill.csv", [charge()] * count)
    rows = [charge()] * count
    with (tmp_path / "bill.csv").open("rb") as file:
        for source in (FileSource(file), RowSource(rows)):
            seen: list[float] = []
            analyze(
                source,
                account_id=None,
                period_name=PeriodName.ALL,
                progress=lambda fraction, _, seen=seen: seen.append(fraction),
            )
            assert seen == sorted(seen)
            assert 0 < seen[-1] <= 1
            assert len(seen) <= 2 * REPORTS_PER_PASS


@pytest.mark.parametrize("change", ["overwritten", "grown", "cut"])
def test_file_that_changes_between_the_passes_is_noticed_and_may_be_tried_again(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "bill.csv"
    write_csv(path, [charge()] * 10_000)
    changes = iter([change])

    def tamper(_fraction: float, message: str) -> None:
        if message.startswith("summed") and next(changes, None):
            _tamper(path, change)

    with path.open("rb") as file, pytest.raises(FileChangedError):
        analyze(FileSource(file), account_id=None, period_name=PeriodName.ALL, progress=tamper)
    assert agent.find("analyze_cost").is_retryable(FileChangedError())


def _tamper(path: Path, change: str) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        line = ",".join(charge().values()).encode()
        if change == "overwritten":
            file.seek(size - len(line) - 2)
            file.write(line.replace(b"1,", b"2,", 1))
        elif change == "grown":
            file.write(line + b"\r\n")
        else:
            file.truncate(size - len(line) - 2)


def test_bytes_a_quoted_header_a_byte_order_mark_and_blank_lines_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    lines = [
        ",".join(f'"{name}"' for name in HEADER),
        ",".join(charge().values()),
        "",
        ",".join(charge().values()),
    ]
    (tmp_path / "bill.csv").write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    assert agent.run("analyze_cost", {"path": "bill.csv"})["total_spend"] == "2"


def test_a_million_rows_are_summed_exactly_in_bounded_memory(tmp_path: Path) -> None:
    """Row n bills n millionths; 30,000 services, 20 accounts and 28 days share them: closed forms."""
    with (tmp_path / "bill.csv").open("w") as file:
        file.write(
            "BilledCost,EffectiveCost,ListCost,ServiceName,SubAccountId,ChargePeriodStart,ChargePeriodEnd\n"
        )
        for n in range(1, MILLION + 1):
            day = f"2024-09-{n % 28 + 1:02}"
            file.write(f"{n}e-6,0.1,{n}.5,service {n % 30_000},a{n % 20},{day} 00:00:00,{day} 01:00:00\n")
    run = run_alone("workers.cost", "analyze_cost", {"path": "bill.csv"}, data=tmp_path)
    result = run.result

    whole = Fraction(MILLION * (MILLION + 1), 2)
    assert Fraction(result["total_spend"]) == whole / 10**6
    assert Fraction(result["list_spend"]) == whole + Fraction(MILLION, 2)
    assert result["effective_spend"] == "100000"
    for section in ("by_service", "by_sub_account", "by_day"):
        lines = [*result[section]["items"], *filter(None, [result[section]["other"]])]
        assert sum(Fraction(line["total_spend"]) for line in lines) == whole / 10**6
        assert sum(line["rows"] for line in lines) == MILLION
    assert any("more than 20000 distinct keys" in note for note in result["notes"])
    assert run.peak_mib <= MEMORY_LIMIT_MIB
