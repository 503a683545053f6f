"""Fits as files: one NetCDF file holds the draws and, as JSON, what is known of them. Nothing is pickled."""

from __future__ import annotations

import io
import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import DataError, OutputError
from smm_bayes.inference.convergence import Convergence
from smm_bayes.inference.fitted import POSTERIOR, Attempt, Fit
from smm_bayes.reading import read_bytes, shown

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.inference.model import Model

KEY, FORMAT = "smm_bayes_fit", 1
LARGEST = 1 << 34  # bytes


def save_fit(fit: Fit, path: str | Path) -> None:
    """Write a fit, whole or not at all.

    Raises
    ------
    OutputError
        When the system does not let it be written.
    """
    tree, where = fit.data.copy(), Path(path)
    known = {
        "format": FORMAT, "seed": fit.seed, "fingerprint": fit.fingerprint, "seconds": fit.seconds,
        "convergence": asdict(fit.convergence), "attempts": [asdict(attempt) for attempt in fit.attempts],
        "description": fit.description,
    }  # fmt: skip
    tree.attrs = {**tree.attrs, KEY: json.dumps(known)}
    beside = where.with_name(f".{where.name}.{secrets.token_hex(4)}")
    try:
        tree.to_netcdf(beside, engine="h5netcdf")
        os.replace(beside, where)
    except OSError as error:
        raise OutputError(f"{shown(path)}: the fit could not be written ({error.strerror or error})") from None
    finally:
        beside.unlink(missing_ok=True)


def load_fit(path: str | Path, model: Model | None = None) -> Fit:
    """Read a fit; see :meth:`Fit.load`."""
    tree, known = _read(path)
    try:
        found = Fit(
            data=tree,
            convergence=Convergence(**known["convergence"]),
            attempts=tuple(Attempt(**one) for one in known["attempts"]),
            seed=int(known["seed"]), fingerprint=str(known["fingerprint"]), seconds=dict(known["seconds"]),
            model=model, description=dict(known["description"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        raise _no_fit(path) from None
    if model is not None and not _is_of(found, model):
        raise DataError(f"{shown(path)}: the fit is of other data or another model than the one given with it")
    return found


def _read(path: str | Path) -> tuple[xr.DataTree, dict[str, Any]]:
    """Read the groups and what is known of them."""
    import xarray as xr

    content = read_bytes(path, what="a file that Fit.save wrote", largest=LARGEST)
    try:
        with xr.open_datatree(io.BytesIO(content), engine="h5netcdf") as stored:
            tree = stored.load()
        known = json.loads(tree.attrs.pop(KEY))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError):
        raise _no_fit(path) from None
    if not isinstance(known, dict) or known.get("format") != FORMAT or POSTERIOR not in tree.children:
        raise _no_fit(path)
    return tree, known


def _no_fit(path: str | Path) -> DataError:
    return DataError(f"{shown(path)}: the file holds no fit; give one that Fit.save of this version wrote")


def _is_of(fit: Fit, model: Model) -> bool:
    """Whether the data that a fit was made of are one set of the model's, what it was built for included."""
    if "constant_data" not in fit.data.children:
        return False
    constant = fit.data["constant_data"].dataset
    given = model.data()[-1]  # a pooled fit keeps those of the last
    return set(given) <= set(constant.data_vars) and all(
        np.array_equal(constant[name].values, values) for name, values in given.items()
    )
