"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_diamant.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
_BAD_NAME = {errno.ENAMETOOLONG, errno.EINVAL}


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write to; on success it takes the place of `path` in one step.

    The sibling keeps the suffix of `path` (NumPy and others add one otherwise) and lies in the same folder,
    because a rename is atomic only within a file system. File and folder are synchronised to the disk before
    the block ends. The folder is made when it is missing; when the block fails, the sibling is removed and
    `path` stays as it was.

    Raises
    ------
    UserError
        When the disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _synchronise(temporary)
        temporary.replace(path)
        if os.name == "posix":  # Windows cannot open a folder, and needs no such call
            _synchronise(path.parent)
    except OSError as fault:
        raise _explain(fault, path) from fault
    finally:
        # Removing may itself fail on a disk that went away; the first fault is the one to be told.
        if _exists(temporary):
            temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Refuse a place that `atomic` could not write to: before long work rather than after it.

    Raises
    ------
    UserError
        When `path` is a folder, or its folder cannot be made or written to.
    """
    probe = path.with_name(f".tmp-{uuid.uuid4().hex[:12]}")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as fault:
        raise _explain(fault, path) from fault


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _synchronise(path: Path) -> None:
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR  # fsync wants a writable handle on Windows
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explain(fault: OSError, path: Path) -> Exception:
    """Turn what a user can mend into a sentence; give anything else back as it came."""
    if fault.errno in _FULL:
        return UserError(f"Writing {path} needs free space, got a full disk. Free some space and try again.")
    if fault.errno in _REFUSED:
        return UserError(
            f"The output must be a place that can be written to, got {path} ({fault.strerror}). "
            "Choose another folder."
        )
    if fault.errno in _BAD_NAME:
        return UserError(
            f"The output must have a name the disk accepts, got {path.name[:60]!r} ({fault.strerror}). "
            "Choose a shorter or simpler one."
        )
    return fault
