r"""Earlier data of which any power of the likelihood keeps the prior's form, for hazards and for response rates.

For each cell (an interval and cause, or the one response rate) a conjugate prior has two parameters and the data two
sums that are added to them; a likelihood to the power a adds a times its sums. With initial parameters :math:`\eta_0`,
sums :math:`T_k` of earlier trial k, powers :math:`a_k` and the log of the prior's normaliser :math:`B(\eta)`,

.. math:: \log C(a) = \log \int \prod_k L_k(\theta)^{a_k} \, \pi_0(\theta) \, d\theta
          = \sum_{\text{cells}} B(\eta_0 + \textstyle\sum_k a_k T_k) - B(\eta_0).

Hazards: :math:`\eta` = (shape, rate), T = (events, exposure), :math:`B = \log\Gamma(\eta_1) - \eta_1 \log \eta_2`.
Response rates: :math:`\eta` = (a, b), T = (responders, others), :math:`B` the log of the beta function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import Mixture


@dataclass(frozen=True, eq=False)
class History(ABC):
    """Earlier trials and the initial prior, by cell.

    Attributes
    ----------
    names : tuple of str
        Of the trials.
    initial : numpy.ndarray, shape (2, cell)
        Parameters of the prior before any data.
    sums : numpy.ndarray, shape (trial, 2, cell)
        What the data of each trial add to them at power 1.
    """

    names: tuple[str, ...]
    initial: np.ndarray
    sums: np.ndarray

    def __post_init__(self) -> None:
        """Freeze the arrays."""
        self.initial.setflags(write=False)
        self.sums.setflags(write=False)

    @abstractmethod
    def current_sums(self, current: Any) -> np.ndarray:
        """What the current data add to the parameters, shape (2, cell)."""

    @abstractmethod
    def agreeing(self, current: np.ndarray) -> np.ndarray:
        """Give sums (2, cell) of current data of the same size that have the rates of the trials pooled."""

    @abstractmethod
    def mixture(self, weights: np.ndarray, parameters: np.ndarray) -> Mixture:
        """Distribution of one cell from weights (component,) and parameters (component, 2)."""

    @staticmethod
    @abstractmethod
    def log_normaliser(parameters: np.ndarray) -> np.ndarray:
        """B of parameters (..., 2, cell), summed over the cells."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the cells."""
        return ("rate",)

    def parameters(self, powers: np.ndarray, current: np.ndarray | None = None) -> np.ndarray:
        """Parameters (..., 2, cell) at powers (..., trial), with the sums of current data (2, cell) at power 1."""
        found = self.initial + np.tensordot(np.asarray(powers, float), self.sums, axes=1)
        return found if current is None else found + current

    def log_constant(self, powers: np.ndarray, current: np.ndarray | None = None) -> np.ndarray:
        """Log C of powers (..., trial), shape (...); with current data, log of the integral over their likelihood."""
        return self.log_normaliser(self.parameters(powers, current)) - self.log_normaliser(self.initial)

    def log_evidence(self, powers: np.ndarray, current: np.ndarray | None) -> np.ndarray:
        """Log marginal likelihood of the current data given powers (..., trial), shape (...); 0 without data."""
        if current is None:
            return np.zeros(np.shape(powers)[:-1])
        return self.log_constant(powers, current) - self.log_constant(powers)

    def check_powers(self, powers: Any) -> np.ndarray:
        """Give powers as an array (trial,).

        Raises
        ------
        SpecificationError
            When there is not one in [0, 1] for each trial.
        """
        found = np.atleast_1d(np.asarray(powers, float))
        if found.shape != (len(self.names),) or not np.all((found >= 0) & (found <= 1)):
            raise SpecificationError(f"give one power from 0 (ignored) to 1 (pooled) for each of "
                                     f"{', '.join(self.names)}; got {found.tolist()}")  # fmt: skip
        return found


def draw_log_gamma(shape: Any, rate: Any, *, rng: np.random.Generator, size: Any = None) -> np.ndarray:
    """Draw logarithms of gamma variables; a small shape does not underflow: log G(a) = log G(a + 1) + log(U) / a."""
    bigger = np.log(rng.gamma(np.add(shape, 1.0), size=size))
    return bigger - rng.exponential(size=bigger.shape) / shape - np.log(rate)
