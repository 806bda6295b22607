"""Opening a file of the data folder, and none outside it, whatever links or races a path holds."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from orchestrator import PermanentError
from workers.focus.values import shown

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK_ERRORS = (errno.ELOOP, errno.EMLINK)
_ODD_FILE_ERRORS = (errno.ENXIO, errno.ENODEV)
_OUTSIDE = "leads out of the data folder; give a path inside ORCHESTRATOR_DATA_DIR"


def open_inside(folder: Path, path: str) -> BinaryIO:
    """Open a regular file under `folder` for reading, or raise PermanentError with the remedy.

    Links that stay inside the folder are followed. The resolved path is then walked from the folder's own
    descriptor without following any link, so one put in place meanwhile is refused too. A hard link cannot be
    told from the file itself. Errors of the disk are not caught: trying again may help there.
    """
    root = _resolved_root(folder)
    relative = _resolved(root, path)
    try:
        descriptor = _walk(root, relative)
    except FileNotFoundError:
        raise PermanentError(f"path {shown(path)}: no such file in the data folder; check its name") from None
    except PermissionError:
        raise PermanentError(
            f"path {shown(path)}: the agent may not read it; change its permissions"
        ) from None
    except (NotADirectoryError, IsADirectoryError):
        raise PermanentError(f"path {shown(path)}: is not a regular file; name a CSV file") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise PermanentError(
                f"path {shown(path)}: is too long for a file name; give a valid path"
            ) from None
        if error.errno in _LINK_ERRORS:
            raise PermanentError(f"path {shown(path)}: {_OUTSIDE}") from None
        if error.errno in _ODD_FILE_ERRORS:
            raise PermanentError(f"path {shown(path)}: is not a regular file; name a CSV file") from None
        raise
    return _regular(descriptor, path)


def _resolved_root(folder: Path) -> Path:
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        root = None
    if root is None or not root.is_dir():
        raise PermanentError(
            "ORCHESTRATOR_DATA_DIR names no folder; set it to the folder that holds the files"
        )
    return root


def _resolved(root: Path, path: str) -> Path:
    """Return the path relative to the root, all links followed."""
    try:
        resolved = (root / path).resolve()
        relative = resolved.relative_to(root)
    except RuntimeError:
        raise PermanentError(f"path {shown(path)}: its links run in a circle; name the file itself") from None
    except OSError as error:
        raise PermanentError(f"path {shown(path)}: {error.strerror}; give a valid path") from None
    except ValueError:
        bad_text = "\0" in path or (not path.isascii() and _has_surrogate(path))
        reason = "holds a character no file name can have; give a valid path" if bad_text else _OUTSIDE
        raise PermanentError(f"path {shown(path)}: {reason}") from None
    if not relative.parts:
        raise PermanentError(f"path {shown(path)}: is the data folder itself; name a CSV file in it")
    return relative


def _has_surrogate(path: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in path)


def _walk(root: Path, relative: Path) -> int:
    folder = os.open(root, _FLAGS | os.O_DIRECTORY)
    try:
        for part in relative.parts[:-1]:
            inner = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(relative.parts[-1], _FLAGS | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _regular(descriptor: int, path: str) -> BinaryIO:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermanentError(f"path {shown(path)}: is not a regular file; name a CSV file")
    return os.fdopen(descriptor, "rb", buffering=1 << 18)
