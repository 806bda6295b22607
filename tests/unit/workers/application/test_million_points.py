"""A million points from a file: within a minute, and within 300 MB of the process that works on them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from tests.unit.workers.billing import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000
MEMORY_LIMIT_MB = 300
SECONDS = 60
"""Of processor time: what else runs on the machine does not count."""


def test_a_million_points_are_searched_in_bounded_time_and_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal(MILLION)
    values[600_000:] += 0.1
    with (tmp_path / "long.csv").open("w") as file:
        file.write("timestamp,value\n")
        file.writelines(f"{1_704_067_200 + at},{value:.6f}\n" for at, value in enumerate(values.tolist()))
    code = (
        "import json, sys, time\n"
        "from workers.application import agent\n"
        "started = time.process_time()\n"
        "found = agent.run('detect_regression', {'series': {'path': 'long.csv'}})\n"
        "from tests.support.memory import peak_bytes\n"
        "peak = peak_bytes() / 1e6\n"
        "json.dump([found, time.process_time() - started, peak], sys.stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={"ORCHESTRATOR_DATA_DIR": str(tmp_path), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        check=True,
        timeout=4 * SECONDS,
    )
    found, seconds, megabytes = json.loads(done.stdout)
    assert found["verdict"] == "yes"
    assert abs(found["change_point"]["points_before"] - 600_000) < 5_000
    assert abs(found["effect"]["hodges_lehmann_shift"] - 0.1) < 0.01
    assert seconds < SECONDS
    assert megabytes < MEMORY_LIMIT_MB
