"""Pointwise log densities of a PyMC model, for batches of values, run by NumPy without compiling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pymc as pm


@contextmanager
def without_traces(outputs: Sequence[Any]) -> Iterator[None]:
    """Compile without the record of where in the source each variable was made.

    Rewriting a graph joins these records, and in a model with several ways for trials to deviate their length grows
    exponentially: minutes are spent on them.
    """
    from pytensor import config
    from pytensor.graph.traversal import ancestors

    for variable in ancestors(outputs):
        variable.tag.trace = []
    with config.change_flags(traceback__limit=0, traceback__compile_limit=0):
        yield


class Densities:
    """Log prior of every free variable and log likelihood of every observation, with the data the model holds now.

    Parameters
    ----------
    model : pymc.Model
    """

    def __init__(self, model: pm.Model) -> None:
        import pytensor
        import pytensor.tensor as pt
        from pymc.logprob.basic import conditional_logp
        from pytensor.compile.mode import Mode
        from pytensor.graph.replace import vectorize_graph

        values: dict[Any, Any] = {v: v.type(v.name) for v in model.free_RVs}  # on their own scale
        observed = {variable: model.rvs_to_values[variable] for variable in model.observed_RVs}
        found = conditional_logp({**values, **observed})
        terms = [found[value] for value in (*values.values(), *observed.values())]
        replace = {
            value: pt.tensor(variable.name, shape=(None, *variable.type.shape), dtype=variable.dtype)
            for variable, value in values.items()
        }
        batched = vectorize_graph(terms, replace=replace)
        mode = Mode(linker="py", optimizer="fast_compile")
        with without_traces(batched):
            self._function = pytensor.function(list(replace.values()), batched, mode=mode, on_unused_input="ignore")
        self._free = [variable.name for variable in values]
        self._names = [variable.name for variable in (*values, *observed)]

    def __call__(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Log density of every variable by name (batch, ...), given free variables (batch, ...), without Jacobians."""
        return dict(zip(self._names, self._function(*(values[name] for name in self._free)), strict=True))
