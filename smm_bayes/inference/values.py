"""Fitting model values: what computes the same, with data of the same shape, is compiled once a session."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.inference.compiled import CompiledModel, compile_model
from smm_bayes.inference.fingerprint import hash_arrays
from smm_bayes.inference.fitted import BY_PATIENT, Fit, described, joined
from smm_bayes.inference.model_hash import hash_model

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from smm_bayes.inference.model import Model

KEPT = 8  # compiled models; the one not used for longest is let go
MOST_VALUES = 100_000_000  # of a log likelihood by patient: beyond it is left out
PREDICTIVE = "posterior_predictive"


@dataclass(eq=False)
class _Kept:
    """A PyMC model that is used again, by one thread at a time: it holds the data of its latest fit."""

    model: pm.Model
    lock: threading.RLock = field(default_factory=threading.RLock)


_KEPT: OrderedDict[str, _Kept] = OrderedDict()
_LOOKING = threading.Lock()


@contextmanager
def reused(model: Model) -> Iterator[tuple[pm.Model, dict[str, np.ndarray]]]:
    """Lend the PyMC model of a value: the one compiled before, of any value that computes the same, if there is one.

    With it come the value's own data, all of them: the model may hold those of another.
    """
    built = model.build()
    key = _key(built)
    with _LOOKING:
        kept = _KEPT.setdefault(key, _Kept(built))
        _KEPT.move_to_end(key)
        while len(_KEPT) > KEPT:
            _KEPT.popitem(last=False)
    with kept.lock:
        yield kept.model, {variable.name: variable.get_value() for variable in built.data_vars}


def compiled_for(model: Model) -> CompiledModel:
    """Compile for a value ahead of its fit, which then compiles nothing; give what was compiled."""
    with reused(model) as (built, _):
        return compile_model(built).prepare()


def _key(model: pm.Model) -> str:
    """Hash of what a model computes and of how it names its dims, with the shapes and ranges of its data."""
    shapes = []
    for variable in model.data_vars:
        values = variable.get_value()
        whole = np.issubdtype(values.dtype, np.integer)  # an index may not be larger than when it was compiled
        shapes.append((variable.name, values.shape, values.dtype.str, int(values.max(initial=0)) if whole else 0))
    coords = sorted((str(name), tuple(map(str, labels or ()))) for name, labels in model.coords.items())
    return hash_arrays({}, hash_model(model), sorted(shapes), coords)


def fit_value(model: Model, *, seed: int, log_densities: bool, **settings: Any) -> Fit:
    """Fit a value under each of its data sets; arguments as of :func:`~smm_bayes.inference.sampling.fit`."""
    from smm_bayes.inference.each import fit_each
    from smm_bayes.inference.sampling import fit

    sets = model.data()
    with reused(model) as (built, own):
        if len(sets) == 1:
            found = fit(built, seed=seed, data=own | sets[0], log_densities=log_densities, **settings)
        else:
            found = fit_each(built, [own | one for one in sets], seed=seed, **settings)
    groups = {name: found.data[name].dataset for name in found.data.children}
    if log_densities and found.convergence.complete:
        groups.update(_of_value(model, found))
    return replace(found, data=joined(groups), model=model, description=described(model))


def _of_value(model: Any, found: Fit) -> dict[str, xr.Dataset]:
    """Groups that only the value can make: log likelihood by patient, and data drawn from the posterior."""
    import xarray as xr

    groups, posterior = {}, found.posterior
    draws, patients = posterior.sizes["chain"] * posterior.sizes["draw"], getattr(model, "patients", None)
    if hasattr(model, "patient_log_likelihood") and patients is not None and draws * len(patients) <= MOST_VALUES:
        by_patient = model.patient_log_likelihood(posterior)
        labels = {"chain": posterior["chain"].values, "draw": posterior["draw"].values, "patient": patients.patient}
        groups[BY_PATIENT] = xr.Dataset({"time": (("chain", "draw", "patient"), by_patient)}, coords=labels)
    if hasattr(model, "predicted"):
        drawn: Mapping[str, np.ndarray] = model.predicted(posterior, rng=np.random.default_rng([found.seed, draws]))
        seen = found.data["observed_data"].dataset
        shown = {name: (("chain", "draw", *seen[name].dims), values) for name, values in drawn.items()}
        groups[PREDICTIVE] = xr.Dataset(shown, coords={**posterior[["chain", "draw"]].coords, **seen.coords})
    return groups
