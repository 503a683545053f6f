"""Hashes of what went into a result, so that two results can be said to be of the same inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
