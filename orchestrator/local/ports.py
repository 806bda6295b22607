"""TCP ports of this machine: free ones, and who holds one that is not."""

from __future__ import annotations

import random
import socket

import psutil

from orchestrator.local.errors import StackError

LOW, HIGH = 20_000, 32_000
"""Below the range that outgoing connections take theirs from, so nobody sits on one by accident."""
TRIES = 200
LOOPBACK = "127.0.0.1"


def take(wanted: int, *, host: str = LOOPBACK, what: str) -> int:
    """Return the wanted port, or any free one for 0. Raises StackError that names who holds it."""
    if wanted == 0:
        return free_port(host)
    if not is_free(wanted, host):
        raise StackError(
            f"port {wanted} for {what} is in use by {holder(wanted)}; choose another, or 0 for any"
        )
    return wanted


def free_port(host: str = LOOPBACK, *, preferred: int | None = None) -> int:
    """Return a port on which nobody listens: the preferred one if it is free."""
    if preferred is not None and is_free(preferred, host):
        return preferred
    for _ in range(TRIES):
        port = random.randrange(LOW, HIGH)  # noqa: S311 - not a secret
        if is_free(port, host):
            return port
    raise StackError(f"no free port between {LOW} and {HIGH}")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether somebody could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Return who listens on a port, as far as we may see."""
    try:
        found = [
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
        ]
    except psutil.AccessDenied:
        found = []
    for pid in found:
        if pid is not None:
            try:
                return f"process {pid} ({' '.join(psutil.Process(pid).cmdline())[:120]})"
            except psutil.Error:
                return f"process {pid}"
    return "a process of another user"
