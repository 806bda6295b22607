"""A million points from a file: within a minute, and within 300 MB of the process that works on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.support.alone import run_alone

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000
MEMORY_LIMIT_MIB = 300
SECONDS = 60
"""Of processor time: what else runs on the machine does not count."""


def test_a_million_points_are_searched_in_bounded_time_and_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal(MILLION)
    values[600_000:] += 0.1
    with (tmp_path / "long.csv").open("w") as file:
        file.write("timestamp,value\n")
        file.writelines(f"{1_704_067_200 + at},{value:.6f}\n" for at, value in enumerate(values.tolist()))

    run = run_alone(
        "workers.application", "detect_regression", {"series": {"path": "long.csv"}}, data=tmp_path
    )

    found = run.result
    assert found["verdict"] == "yes"
    assert abs(found["change_point"]["points_before"] - 600_000) < 5_000
    assert abs(found["effect"]["hodges_lehmann_shift"] - 0.1) < 0.01
    assert run.cpu_seconds < SECONDS
    assert run.peak_mib < MEMORY_LIMIT_MIB
