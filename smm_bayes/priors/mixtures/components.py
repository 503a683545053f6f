"""What a family of distributions gives a mixture: its components, at values and on the real line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.results import Result, plot_density

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Components(Result, ABC):
    """Components of one family, all at once."""

    FAMILY: ClassVar[str]  # of a component, as it is printed
    _range: ClassVar[tuple[float, float]]  # of the parameter
    _line_range: ClassVar[tuple[float, float]]  # of its transform, where it is neither end in double precision
    weights: np.ndarray
    _parameters: dict[str, np.ndarray]

    def table(self) -> pd.DataFrame:
        """Give every component as a row: weight and parameters."""
        import pandas as pd

        return pd.DataFrame({"weight": self.weights, **self._parameters})

    def summary(self) -> str:
        """Give mean, standard deviation and 95 % interval of the whole mixture."""
        return self._summary()

    @abstractmethod
    def _summary(self) -> str: ...

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the density of the whole mixture."""
        return plot_density(self, ax)

    @staticmethod
    @abstractmethod
    def _check(name: str, values: np.ndarray, problems: Problems) -> None:
        """Note values that a component's parameter cannot have."""

    @abstractmethod
    def _with(self, weights: np.ndarray, parameters: dict[str, np.ndarray]) -> Self:
        """Give a mixture of the same kind."""

    # Of the components, at values of any shape; each gives shape (..., component).

    @abstractmethod
    def _log_densities(self, theta: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _cdfs(self, theta: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _sfs(self, theta: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each component."""

    @staticmethod
    @abstractmethod
    def _draw(parameters: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Draw one value for every set of parameters."""

    # On the real line, where eta is theta, its logarithm or its logit.

    @staticmethod
    @abstractmethod
    def _to_line(theta: np.ndarray) -> np.ndarray: ...

    @staticmethod
    @abstractmethod
    def _from_line(eta: np.ndarray) -> np.ndarray:
        """Parameter at ``eta``, kept off the ends of its range."""

    @staticmethod
    @abstractmethod
    def _log_slope(eta: np.ndarray) -> np.ndarray:
        r"""Logarithm of :math:`s = d\theta/d\eta`."""

    @abstractmethod
    def _peak(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the components' densities of eta are highest, and how wide they are there."""

    @abstractmethod
    def _height(self, eta: np.ndarray) -> np.ndarray:
        """Log density of eta less that at the peak; ``eta`` has an axis for the components."""

    @abstractmethod
    def _scores(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r"""First and second derivative of the log densities of theta, times s and :math:`s^2`."""


def vector(name: str, values: Any, problems: Problems) -> np.ndarray:
    """Give a list of finite numbers; note what is none."""
    try:
        found = np.atleast_1d(np.array(values, float))
    except (TypeError, ValueError):
        problems.add(f"{name} must be numbers; got {values!r}")
        return np.zeros(0)
    if found.ndim != 1 or not np.all(np.isfinite(found)):
        problems.add(f"{name} must be a list of finite numbers; got {values!r}")
    return found


def check_weights(weights: np.ndarray, problems: Problems) -> np.ndarray:
    """Note weights that are not shares of 1; give them summing to 1 exactly."""
    if len(weights) == 0 or np.any(weights < 0) or np.any(weights > 1) or abs(weights.sum() - 1) > 1e-6:
        problems.add(f"weights must be within [0, 1] and sum to 1; got {weights.tolist()}")
        return weights
    return weights / weights.sum()


def above_zero(name: str, values: np.ndarray, problems: Problems) -> None:
    """Note a parameter that is not above 0."""
    if np.any(values <= 0):
        problems.add(f"{name} must be above 0; got {values.tolist()}")
