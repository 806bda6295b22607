"""How much memory this process has needed since its program began."""

from __future__ import annotations

from pathlib import Path


def peak_bytes() -> int:
    """Return the peak resident size of this program.

    Not ru_maxrss: that begins with what the parent had when it forked, and a test run is large.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0]) * 1024
