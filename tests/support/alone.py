"""An agent's handler in a process of its own, and what the run needed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
LONGEST_SECONDS = 240.0
CODE = """
import importlib, json, pathlib, sys, time
agent = importlib.import_module(sys.argv[1]).agent
result = agent.run(sys.argv[2], json.loads(sys.argv[3]))
status = pathlib.Path("/proc/self/status").read_text()
peak_kib = int(status.split("VmHWM:", 1)[1].split()[0])
json.dump([result, time.process_time(), peak_kib / 1024], sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Alone:
    """A result, the processor time that it took with the program's start, and the peak of resident memory.

    Not ru_maxrss: that begins with what the parent had when it forked, and a test run is large.
    """

    result: Any
    cpu_seconds: float
    peak_mib: float


def run_alone(module: str, task_type: str, parameters: dict[str, Any], *, data: Path) -> Alone:
    """Run a handler of the agent in `module` with `data` as its data folder."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, module, task_type, json.dumps(parameters)],
        cwd=PROJECT,
        env={"ORCHESTRATOR_DATA_DIR": str(data), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        check=True,
        timeout=LONGEST_SECONDS,
    )
    return Alone(*json.loads(done.stdout))
