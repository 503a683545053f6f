"""What a model is built for beside its data, carried with both, so that data made for something else are noticed.

Priors, intervals, arms and causes are compiled into a model; events and exposure are data that a refit replaces. Data
made under other priors would be sampled under those compiled, without a word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

MADE_FOR = "_made_for"


def hash_values(*values: Any) -> str:
    """SHA-256 of values: numbers, words, arrays, mappings, sequences and dataclasses of these.

    The same in every process. The order of a mapping does not count.
    """
    return hashlib.sha256(_said(values).encode()).hexdigest()


def _said(value: Any) -> str:
    if value is None or isinstance(value, str | bool | int | np.bool_ | np.integer):
        return repr(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, float | np.floating):
        return repr(float(value) + 0.0)
    if isinstance(value, np.ndarray):
        return f"array{value.shape}{_said(value.tolist())}"
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{_said(key)}:{_said(of)}' for key, of in value.items()))}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_said, value))}]"
    if is_dataclass(value) and not isinstance(value, type):
        own = (f"{field.name}={_said(getattr(value, field.name))}" for field in fields(value))
        return f"{type(value).__qualname__}({','.join(own)})"
    raise TypeError(f"no hash is known of {type(value).__qualname__}")


def made_for(model: str, **parts: Any) -> dict[str, np.ndarray]:
    """Hashes of what a model is built for, as data of it.

    Parameters
    ----------
    model : str
        How the name of the data starts.
    **parts
        Such as ``priors``; their names are used in the refusal.
    """
    words = [hash_values(part)[:7] for part in parts.values()]  # PyMC's whole numbers have 32 bits
    return {f"{model}{MADE_FOR}": np.array([int(word, 16) for word in words], dtype=np.int32)}


def carry(model: str, **parts: Any) -> None:
    """Add to the model being built what it is built for, as :func:`made_for` gives it with its data."""
    import pymc as pm

    for name, values in made_for(model, **parts).items():
        pm.modelcontext(None).add_coord(f"{name}_parts", list(parts))  # no dim, so that no plot shows it
        pm.Data(name, values)
