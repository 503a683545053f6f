"""What a model is to this package: a value that knows its data and priors, and can be fitted, simulated and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import pymc as pm


@runtime_checkable
class Model(Protocol):
    """A model with its data and priors.

    Implementations are frozen dataclasses in the rooms of their subjects; nothing subclasses ``pm.Model``, and nothing
    samples when a model is made. Everything but :meth:`build` is NumPy, and a twin of what the PyMC model computes.

    Notes
    -----
    A model of survival also has ``law(posterior)``, its :class:`~smm_bayes.survival.law.Law`, by which its fit
    completes a trial.
    """

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        ...

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data: one set, or one for each of several equally likely data sets."""
        ...

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        ...

    def prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior, by the names of the PyMC model, draws first."""
        ...

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first, shape (draw,)."""
        ...

    def simulated(self, data: Any, truth: dict[str, np.ndarray], *, rng: np.random.Generator) -> Model:
        """Give the same model of data simulated under ``truth``."""
        ...
