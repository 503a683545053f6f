"""A PyMC model compiled once, refitted with new data as often as needed."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.densities import Densities
from smm_bayes.inference.made_for import MADE_FOR
from smm_bayes.inference.model_hash import hash_model

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr


# Of how a large model is compiled, not of what it computes.
warnings.filterwarnings("ignore", "Loop fusion failed because the resulting node would exceed", UserWarning)

PACKED = "packed_data"
_COMPILING = threading.RLock()  # PyTensor's settings are those of the whole process


@contextmanager
def as_written() -> Iterator[None]:
    """Compile arithmetic as it is written, whatever PyTensor's settings are, which stay the user's own.

    By default PyTensor lets the compiler reorder sums and fuse products ("fastmath"). How it does so depends on
    whether a function was just compiled or comes out of a cache, and a sampler makes another chain of the last bit.

    Raises
    ------
    SpecificationError
        When PyTensor computes in single precision.
    """
    import pytensor

    if pytensor.config.floatX != "float64":
        raise SpecificationError(
            f"PyTensor is set to compute in {pytensor.config.floatX}; set floatX = float64 in PYTENSOR_FLAGS or in "
            ".pytensorrc before the model is built"
        )
    with _COMPILING, pytensor.config.change_flags(numba__fastmath=False):
        yield


@dataclass(eq=False)
class CompiledModel:
    """A model with what nutpie compiled from it; kept for the session by :func:`compile_model`.

    Attributes
    ----------
    model : pymc.Model
    compiled : nutpie compiled model
    """

    model: pm.Model
    compiled: Any

    def with_data(self, data: Mapping[str, np.ndarray]) -> Any:
        """Give the compiled model new data, in the PyMC model too, after checking names, shapes and ranges.

        What is not given is as the model holds it now, from the last refit. The compiled code checks nothing: an index
        out of range reads memory it does not own.
        """
        first = sorted(data, key=lambda name: not name.endswith(MADE_FOR))  # what explains the other differences
        cleaned = {name: self._check(name, data[name]) for name in first}
        with self.model:
            for name, values in cleaned.items():
                self.model.set_data(name, values)
        packed = _packable(self.model)
        known = {variable.name for variable in self.compiled.shared_var_keys}
        given = {name: values for name, values in self.current_data().items() if name in known}
        if packed:
            given[PACKED] = _pack(packed)
        return self.compiled.with_data(**given) if given else self.compiled

    def current_data(self) -> dict[str, np.ndarray]:
        """Data the model holds now."""
        return {variable.name: variable.get_value() for variable in self.model.data_vars}

    def _check(self, name: str, values: np.ndarray) -> np.ndarray:
        known = {variable.name: variable for variable in self.model.data_vars}
        if name not in known:
            raise SpecificationError(f"the model has no data {name!r}; it has {', '.join(sorted(known))}")
        old = known[name].get_value()
        new = np.asarray(values)
        if name.endswith(MADE_FOR):
            return self._same_parts(name, old, new)
        if new.shape != old.shape:
            raise SpecificationError(f"data {name!r} has shape {new.shape}; the compiled model needs {old.shape}")
        if not np.all(np.isfinite(new)):
            raise SpecificationError(f"data {name!r} has values that are not finite; tabulate the patients anew")
        indexes = np.issubdtype(old.dtype, np.integer)
        if indexes and np.any((new != np.floor(new)) | (new < 0) | (new > self._largest[name])):
            raise SpecificationError(
                f"data {name!r} must hold whole numbers from 0 to {self._largest[name]}: it indexes parameters"
            )
        return new.astype(old.dtype)

    def _same_parts(self, name: str, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Refuse data that were made for something else than what is compiled."""
        parts = [str(part) for part in self.model.coords[f"{name}_parts"] or ()]
        if new.shape == old.shape:
            parts = [part for part, same in zip(parts, new == old, strict=True) if not same]
        if parts:
            raise SpecificationError(f"the data were made for other {' and '.join(parts)} than are compiled into the "
                                     "model; build the model anew, or make the data for it")  # fmt: skip
        return old

    @cached_property
    def _largest(self) -> dict[str, int]:
        return {
            variable.name: int(variable.get_value().max(initial=0))
            for variable in self.model.data_vars
            if np.issubdtype(variable.get_value().dtype, np.integer) and not variable.name.endswith(MADE_FOR)
        }

    def __post_init__(self) -> None:
        """Remember the range of index vectors before any refit changes them."""
        _ = self._largest

    def prepare(self) -> CompiledModel:
        """Make now what would be made at the first fit, so that later fits call no compiler; give itself back."""
        _ = self._densities
        return self

    @cached_property
    def hash(self) -> str:
        """Hash of what the model computes, priors included; its data apart."""
        return hash_model(self.model)

    @cached_property
    def _densities(self) -> Densities:
        return Densities(self.model)

    def log_densities(self, posterior: xr.Dataset) -> dict[str, xr.Dataset]:
        """Log prior of every free variable and log likelihood of every observation, at every draw.

        Evaluated with the data the model holds now, on the scale of the free variables (no Jacobian).
        """
        import xarray as xr

        model = self.model
        chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
        values = {
            variable.name: posterior[variable.name].values.reshape(chains * draws, *posterior[variable.name].shape[2:])
            for variable in model.free_RVs
        }
        free = set(values)
        result: dict[str, dict[str, Any]] = {"log_prior": {}, "log_likelihood": {}}
        for name, term in self._densities(values).items():
            dims = _dims(model, name, term.ndim - 1)
            array = np.broadcast_to(term, (chains * draws, *term.shape[1:]))
            result["log_prior" if name in free else "log_likelihood"][name] = (
                ("chain", "draw", *dims), array.reshape(chains, draws, *array.shape[1:])
            )  # fmt: skip
        coords = {name: list(labels) for name, labels in model.coords.items() if labels is not None}
        base = {"chain": posterior["chain"].values, "draw": posterior["draw"].values}
        return {
            group: xr.Dataset(terms, coords={**base, **_used(coords, terms)})
            for group, terms in result.items()
            if terms
        }

    def data_groups(self) -> dict[str, xr.Dataset]:
        """Observed and constant data as ArviZ groups."""
        import xarray as xr

        model = self.model
        observed = {}
        for variable in model.observed_RVs:
            value = model.rvs_to_values[variable]
            array = value.get_value() if hasattr(value, "get_value") else np.asarray(value.eval())
            observed[variable.name] = (_dims(model, variable.name, array.ndim), array)
        constant = {}
        for variable in model.data_vars:
            array = variable.get_value()
            constant[variable.name] = (_dims(model, variable.name, array.ndim), array)
        coords = {name: list(labels) for name, labels in model.coords.items() if labels is not None}
        groups = {"observed_data": observed, "constant_data": constant}
        return {group: xr.Dataset(arrays, coords=_used(coords, arrays)) for group, arrays in groups.items() if arrays}


def _dims(model: pm.Model, name: str, size: int) -> tuple[str, ...]:
    named = model.named_vars_to_dims.get(name)
    if named and len(named) >= size:  # a density has fewer dims than its variable when that is multivariate
        return tuple(named[:size])
    return tuple(f"{name}_dim_{axis}" for axis in range(size))


def _used(coords: dict[str, list[Any]], arrays: dict[str, Any]) -> dict[str, list[Any]]:
    dims = {dim for entry in arrays.values() for dim in entry[0]}
    return {name: labels for name, labels in coords.items() if name in dims}


def _packable(model: pm.Model) -> dict[str, Any]:
    """Data of a model that its packed twin holds in one vector: all floating ones, where there is more than one."""
    found = {variable.name: variable for variable in model.data_vars if variable.dtype == "float64"}
    return dict(sorted(found.items())) if len(found) > 1 else {}


def _pack(variables: Mapping[str, Any]) -> np.ndarray:
    return np.concatenate([variable.get_value().ravel() for variable in variables.values()])


def _packed(model: pm.Model) -> pm.Model:
    """Clone a model with all its floating data in one vector: nutpie compiles about a second for each array of data."""
    import pytensor
    from pymc.model.fgraph import ModelNamed, fgraph_from_model, model_from_fgraph
    from pymc.model.transform.optimization import freeze_dims_and_data
    from pytensor.graph import FunctionGraph
    from pytensor.graph.replace import clone_replace

    if not _packable(model):
        return model
    frozen = freeze_dims_and_data(model, data=[])
    variables = _packable(frozen)
    values = _pack(variables)
    packed = pytensor.shared(values, name=PACKED, shape=values.shape)
    graph, copies = fgraph_from_model(frozen)
    slices, start = {}, 0
    for variable in variables.values():
        shape = variable.get_value().shape
        stop = start + int(np.prod(shape))
        slices[copies[variable].owner.inputs[0]] = packed[start:stop].reshape(shape)
        start = stop
    names = {copies[variable] for variable in variables.values()}
    kept = [output for output in graph.outputs if not (isinstance(output.owner.op, ModelNamed) and output in names)]
    twin = FunctionGraph(outputs=clone_replace(kept, replace=slices, rebuild_strict=False), clone=False)
    twin._coords, twin._dim_lengths = graph._coords, graph._dim_lengths
    return model_from_fgraph(twin, mutate_fgraph=True)


def compile_model(model: pm.Model) -> CompiledModel:
    """Compile ``model`` with nutpie, once a session: the same model object is never compiled again.

    Raises
    ------
    SpecificationError
        When the model has no free variable to sample.
    """
    found = getattr(model, "_smm_bayes_compiled", None)
    return found if found is not None else _compile(model)


def _compile(model: pm.Model) -> CompiledModel:
    if not model.free_RVs:
        raise SpecificationError("the model has no free variable; there is nothing to sample")
    import nutpie

    with as_written():
        compiled = CompiledModel(model, nutpie.compile_pymc_model(_packed(model), backend="numba", freeze_model=False))
    model._smm_bayes_compiled = compiled  # kept on the model itself, so that both are let go together
    return compiled
