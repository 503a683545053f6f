"""What a calibration needs to know of a model and of the data that are simulated for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import pymc as pm

Parameters = dict[str, np.ndarray]


class Simulated(Protocol):
    """A simulated data set, ready to be fitted."""

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data; the first set counts."""

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy."""


class Design(Protocol):
    """A model with its prior and a simulator of data, both in NumPy, apart from the PyMC model."""

    def build(self) -> pm.Model:
        """Make the PyMC model; every data set that is simulated has its shape."""

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters, draws first, by the names of the PyMC model."""

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> Simulated:
        """Simulate data from one draw of the parameters (first axis of length 1)."""

    def ranked(self, parameters: Parameters) -> Parameters:
        """Quantities whose ranks are computed, from parameters with draws first; each of shape (draw,)."""
