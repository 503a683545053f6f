"""Hashes of what went into a result, so that two results can be said to be of the same inputs."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from smm_bayes.reading import read_bytes


def hash_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def hash_arrays(arrays: Mapping[str, np.ndarray], *words: object) -> str:
    """SHA-256 of arrays by name, type, shape and values, and of any further words.

    Never of a saved file: a NetCDF file holds its time of creation.
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(repr(array.tolist()).encode() if array.dtype == object else array.tobytes())
    digest.update(repr(words).encode())
    return digest.hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed version of each package."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}


@cache
def package_state() -> dict[str, str]:
    """Say which state of this package computes: ``version``, ``source`` and, in a checkout, ``commit``.

    ``source`` is the hash of all its source files; ``dirty`` after the commit means that they are not those of it.
    """
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}|".encode() + path.read_bytes() + b"|")
    commit = _commit(package)
    return {"version": versions("smm-bayes")["smm-bayes"], **({"commit": commit} if commit else {}),
            "source": digest.hexdigest()}  # fmt: skip


def _commit(package: Path) -> str:
    """Commit of the checkout the package is in, followed by ``dirty`` where its files differ; empty elsewhere."""
    if not (package.parent / ".git").exists():
        return ""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        call = ["git", "-C", str(package.parent), *arguments]
        return subprocess.run(call, capture_output=True, text=True, check=True, env=clean, timeout=10).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", package.name)
        return git("rev-parse", "HEAD") + (" dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def machine() -> str:
    """Give the kind of machine that computes: system, C library, processor and a hash of its instructions.

    The same specification, data, seed and versions give the same bytes on machines of one kind. The processor is
    the one that compiled code is made for, which the variables ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` change.
    """
    from llvmlite import binding

    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES") or binding.get_host_cpu_features().flatten()
    instructions = hashlib.sha256(",".join(sorted(features.split(","))).encode()).hexdigest()[:12]
    library = " ".join(platform.libc_ver()).strip() or platform.release()
    return f"{platform.system()} {platform.machine()}, {library}, {name} ({instructions})"
