"""Pointwise log densities of a PyMC model, for batches of values, run by NumPy without compiling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pymc as pm


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
        self._function = pytensor.function(list(replace.values()), batched, mode=mode, on_unused_input="ignore")
        self._free = [variable.name for variable in values]
        self._names = [variable.name for variable in (*values, *observed)]

    def __call__(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Log density of every variable by name (batch, ...), given free variables (batch, ...), without Jacobians."""
        return dict(zip(self._names, self._function(*(values[name] for name in self._free)), strict=True))
