"""Our own compiled kernels, and where compiled code is kept when the usual folders cannot be written to."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

_DECORATING = threading.Lock()


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function that Numba compiles, without holding Python's lock when it runs.

    Its machine code is kept for the next process: in ``NUMBA_CACHE_DIR``, beside the package or in the user's cache,
    whichever can be written to; where none can, it is compiled anew in every process. Kernels are inlined in each
    other across files, so that what is kept belongs to the source of all files of their folder.

    Parameters
    ----------
    **options
        Further ones of :func:`numba.njit`.
    """
    from numba import config, njit

    def compile_later(function: Callable[..., Any]) -> Any:
        kept = _kept_in(Path(function.__code__.co_filename).parent)
        if kept is None:
            return njit(nogil=True, **options)(function)
        with _DECORATING:
            before, config.CACHE_DIR = config.CACHE_DIR, str(kept)
            try:
                return njit(cache=True, nogil=True, **options)(function)
            finally:
                config.CACHE_DIR = before

    return compile_later


@cache
def _kept_in(folder: Path) -> Path | None:
    """Folder for the machine code of a folder's kernels, or None."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(f"{path.name}|".encode() + path.read_bytes() + b"|")
    name, user = f"kernels-{digest.hexdigest()[:16]}", os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    places = [os.environ.get("NUMBA_CACHE_DIR"), str(folder / "__pycache__"), f"{user}/smm_bayes"]
    return next((found for place in places if place and (found := _writable(os.path.join(place, name)))), None)


def _writable(place: str) -> Path | None:
    """Give the folder where a file can be made in it, after making it: permissions do not tell on every system."""
    expanded = os.path.expanduser(place)
    if expanded.startswith("~"):  # nobody's home
        return None
    folder = Path(expanded).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder


def find_a_home() -> None:
    """Let other packages keep their files in a temporary folder where there is no home that can be written to.

    PyTensor compiles nothing without a folder for compiled code; Matplotlib, IPython and Jupyter want one each. What
    the user has set stays. The folder is removed at the end, so that every run compiles anew.
    """
    flags = os.environ.get("PYTENSOR_FLAGS", "")
    if "compiledir" in flags or _writable("~/.pytensor/numba"):
        return
    try:
        folder = tempfile.mkdtemp(prefix="smm_bayes-")
    except OSError:
        warnings.warn("no folder can be written to, so that no model can be compiled; set TMPDIR to one that can",
                      stacklevel=2)  # fmt: skip
        return
    atexit.register(_remove, folder, os.getpid())
    os.environ["PYTENSOR_FLAGS"] = ",".join([*filter(None, [flags]), f"base_compiledir={folder}/pytensor"])
    for name in ("MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        os.environ.setdefault(name, os.path.join(folder, name.lower()))


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # a fork leaves it to its parent
        shutil.rmtree(folder, ignore_errors=True)
