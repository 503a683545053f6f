"""A hash of what a PyMC model computes, so that fits under different priors can be told apart.

It is made of the graph of the log density (with the sampler's coordinates) and of everything that is recorded: the
operations, how they are joined and every constant. Data count by name and type only; their values are hashed apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pymc as pm


def hash_model(model: pm.Model) -> str:
    """SHA-256 of a model's computation; equal for equal models in any process."""
    names = [variable.name for variable in [*model.free_RVs, *model.observed_RVs, *model.deterministics]]
    densities = [*model.logp(sum=False), *model.unobserved_value_vars]
    return _digest([*map(str, names), *_Graph().of(densities)])


def _digest(words: list[str]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


class _Graph:
    """Hashes of the variables of a graph, each made of its operation's and of those it is made from."""

    def __init__(self, inputs: Mapping[Any, str] | None = None) -> None:
        self._known: dict[Any, str] = dict(inputs or {})

    def of(self, variables: list[Any]) -> list[str]:
        """Give the hash of every variable."""
        from pytensor.graph.traversal import toposort

        for node in toposort(variables, blockers=list(self._known)):
            made = _digest([_said(node.op), *map(self._root, node.inputs)])
            for position, output in enumerate(node.outputs):
                self._known[output] = _digest([made, str(position)])
        return [self._root(variable) for variable in variables]

    def _root(self, variable: Any) -> str:
        """Hash of a variable that is known, or of one that nothing leads to: a constant, data or an input."""
        from pytensor.graph.basic import Constant

        if variable not in self._known:
            if isinstance(variable, Constant):
                self._known[variable] = _digest(["constant", str(variable.type), _said(variable.data)])
            else:
                self._known[variable] = _digest(["input", str(variable.name), str(variable.type)])
        return self._known[variable]


def _said(value: Any) -> str:
    """Say an operation, or what one is made with, in words that are the same in every process."""
    from pytensor.graph.fg import AbstractFunctionGraph
    from pytensor.graph.op import Op

    if isinstance(value, Op):
        inner = [_said(value.fgraph)] if getattr(value, "fgraph", None) is not None else []
        made_with = [f"{name}={_said(getattr(value, name))}" for name in getattr(value, "__props__", None) or ()]
        return f"{type(value).__module__}.{type(value).__qualname__}({';'.join([*made_with, *inner])})"
    if isinstance(value, AbstractFunctionGraph):
        inputs = {variable: f"input {number} {variable.type}" for number, variable in enumerate(value.inputs)}
        return _digest(_Graph(inputs).of(list(value.outputs)))
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{_said(key)}:{_said(of)}' for key, of in value.items()))}}}"
    if isinstance(value, list | tuple | set | frozenset):
        said = [_said(one) for one in value]
        return f"[{','.join(sorted(said) if isinstance(value, set | frozenset) else said)}]"
    words = repr(value)
    return words if " at 0x" not in words else f"{type(value).__module__}.{getattr(value, '__qualname__', type(value))}"
