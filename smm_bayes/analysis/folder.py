"""A folder of results that is replaced whole: at every moment the old one or the new one is there."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from smm_bayes.errors import OutputError, SpecificationError
from smm_bayes.interruption import interruptible, uninterrupted

AT_FDCWD, RENAME_EXCHANGE, RENAME_SWAP = -100, 2, 2
OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # of a file system that knows none


def resolved(out: Path) -> Path:
    """Follow links to where a folder of results is, or will be.

    Raises
    ------
    SpecificationError
        When the path leads nowhere, or to a folder that cannot be replaced: the current one, or one that holds it.
    """
    try:
        place, here = out.resolve(), Path.cwd()
        place.exists()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SpecificationError(f"--out {out}: the path leads nowhere ({why}); give another folder") from None
    if place == here or place in here.parents:
        what = "is" if place == here else "holds"
        raise SpecificationError(f"--out {out} {what} the current folder, which cannot be replaced as a whole; "
                                 "give a folder inside it, such as --out interim")  # fmt: skip
    return place


@contextmanager
def whole_folder(out: Path, check: Callable[[], None] | None = None) -> Iterator[Path]:
    """Give an empty folder beside ``out`` that takes its place at the end, or is removed on any error.

    Before anything else it is tried whether that will be possible. Where the system can exchange two folders in one
    step, ``out`` is never absent; elsewhere the old results are put back by the next run, should this one die between
    two steps. What dead runs left is removed. What is finished but cannot be put in its place is kept beside it.

    Parameters
    ----------
    out : pathlib.Path
        A link to a folder stays a link.
    check : callable, optional
        Called before ``out`` is replaced; raises where it may not be.

    Raises
    ------
    SpecificationError
        At once, when ``out`` could not be replaced, or another run is writing to it.
    OutputError
        At the end, saying where the results are instead.
    """
    place = resolved(out)
    with uninterrupted() as heard, ExitStack() as stack:  # nothing ends it half way but what is done in the folder
        building, old, lock = (place.with_name(f".{place.name}.smm-bayes-{what}") for what in ("new", "old", "lock"))
        with _saying(out):
            stack.enter_context(_parents(place.parent))
            stack.enter_context(_locked(lock, out))
            _recover(place, old, building)
            stack.callback(_remove, building)
            _try(place, building)
        with interruptible():
            yield building
        try:
            if check is not None:
                check()
            _flush(building)
            _replace(building, place, old)
        except (OSError, SpecificationError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise OutputError(f"the results could not be put at {out} ({why}); they are in "
                              f"{_kept(building, place)}") from None  # fmt: skip
        if heard is not None:
            heard.words = f"Interrupted; the results are in {out}."


@contextmanager
def _saying(out: Path) -> Iterator[None]:
    """Turn what the system says of a folder into a refusal."""
    try:
        yield
    except OSError as error:
        why, remedy = f"cannot be written ({error.strerror})", "give another folder"
        if error.errno in (errno.EBUSY, errno.EXDEV):
            why = "is a mount point, which cannot be replaced as a whole"
            remedy = f"give a folder inside it, such as {out / 'interim'}"
        raise SpecificationError(f"--out {out} {why}; {remedy}") from None


@contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """Make missing folders, and remove those that are empty at the end."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for one in missing:
            with suppress(OSError):
                one.rmdir()


@contextmanager
def _locked(path: Path, out: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                break
        except BlockingIOError:
            os.close(handle)
            raise SpecificationError(
                f"another run is writing to --out {out}; wait until it has ended, or give another folder"
            ) from None
        except OSError as error:
            if error.errno in NO_LOCKS:
                break
            raise
        os.close(handle)  # the run that held it removed it: try anew
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _recover(place: Path, old: Path, building: Path) -> None:
    """Remove what dead runs left, and put results back that one had moved away; the lock must be held."""
    if old.exists() and not place.exists():
        os.rename(old, place)
    for left in (old, building):
        _remove(left)


def _try(place: Path, building: Path) -> None:
    """Make, write and move a folder as it will be done at the end, and try whether ``place`` could be moved.

    A folder cannot be moved to where another one with files is, which is what a system that allows the rest says.
    """
    building.mkdir()
    probe = building / "probe"
    probe.write_bytes(b"probe")
    if place.exists():
        try:
            os.rename(place, building)
        except OSError as error:
            if error.errno not in OCCUPIED:
                raise
    probe.unlink()


def _replace(building: Path, place: Path, old: Path) -> None:
    """Put ``building`` at ``place``; afterwards ``building`` is what was there before, or nothing."""
    if not place.exists():
        os.rename(building, place)
    elif not _exchange(building, place):
        os.rename(place, old)
        try:
            os.rename(building, place)
        except OSError:
            os.rename(old, place)
            raise
        os.rename(old, building)
    _synchronise(place.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; say whether the system can."""
    names = os.fsencode(first), os.fsencode(second)
    library = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*names, RENAME_SWAP)
        else:
            failed = library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
    except AttributeError:
        return False
    return not failed


def _flush(folder: Path) -> None:
    """Have the files on the disk before the folder is moved."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _synchronise(path)
    _synchronise(folder)


def _synchronise(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _kept(building: Path, place: Path) -> Path:
    """Move results that have no place to a name that no run removes."""
    kept = place.with_name(f"{place.name}-{secrets.token_hex(3)}")
    try:
        os.rename(building, kept)
    except OSError:
        return building
    return kept


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
