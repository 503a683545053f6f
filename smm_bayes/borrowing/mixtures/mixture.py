"""What every mixture of one parameter shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from smm_bayes.errors import Problems, SpecificationError

if TYPE_CHECKING:
    from smm_bayes.borrowing.mixtures.information import Method

# cumulative probabilities at which a component's range is cut before it is integrated piece by piece
TAIL = (1e-300, 1e-100, 1e-40, 1e-20, 1e-12, 1e-8, 1e-5, 1e-3, 0.01, 0.05, 0.15, 0.3)
NODES = 16
PIECES = 400  # at most, whatever the number of components


class Mixture(ABC):
    r"""A finite mixture, :math:`p(\theta) = \sum_k w_k\,p(\theta \mid \text{component } k)`.

    Attributes
    ----------
    weights : numpy.ndarray, shape (component,)
        Not negative, summing to 1.
    parameters : dict of str to numpy.ndarray, each of shape (component,)
        Of the components, under the names of the constructor.
    """

    FAMILY: ClassVar[str]  # of a component, as it is printed
    _end: ClassVar[float] = np.inf  # of the parameter's range
    weights: np.ndarray
    parameters: dict[str, np.ndarray]

    def __init__(self, weights: Any, **parameters: Any) -> None:
        subject = type(self).__name__
        problems = Problems(subject, SpecificationError)
        weights = _vector("weights", weights, problems)
        found = {name: _vector(name, values, problems) for name, values in parameters.items()}
        problems.raise_if_any()
        for name, values in found.items():
            if len(values) != len(weights):
                problems.add(f"{name} has {len(values)} values for {len(weights)} weights; give one a component")
            self._check(name, values, problems)
        if len(weights) == 0 or np.any(weights < 0) or np.any(weights > 1) or abs(weights.sum() - 1) > 1e-6:
            problems.add(f"weights must be within [0, 1] and sum to 1; got {weights.tolist()}")
        problems.raise_if_any()
        weights = weights / weights.sum()
        for values in (weights, *found.values()):
            values.setflags(write=False)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "parameters", found)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change; make another one")

    def __len__(self) -> int:
        return len(self.weights)

    @staticmethod
    @abstractmethod
    def _check(name: str, values: np.ndarray, problems: Problems) -> None:
        """Note values that a component's parameter cannot have."""

    @abstractmethod
    def _components(self) -> Any:
        """Give the components as one vectorised SciPy distribution."""

    @abstractmethod
    def _derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative of the components' log densities, shape (..., component)."""

    @staticmethod
    @abstractmethod
    def _to_line(theta: np.ndarray) -> np.ndarray:
        """Transform the parameter to the real line, increasing."""

    @staticmethod
    @abstractmethod
    def _from_line(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the parameter and its derivative."""

    @abstractmethod
    def _with(self, weights: np.ndarray, parameters: dict[str, np.ndarray]) -> Self:
        """Give a mixture of the same kind."""

    @cached_property
    def _scipy(self) -> Any:
        return self._components()

    # cached_property writes into the instance's dictionary and so passes by __setattr__

    def log_pdf(self, theta: Any) -> np.ndarray:
        """Logarithm of the density."""
        from scipy.special import logsumexp

        theta = np.asarray(theta, float)[..., None]
        with np.errstate(divide="ignore"):
            return logsumexp(self._scipy.logpdf(theta) + np.log(self.weights), axis=-1)

    def pdf(self, theta: Any) -> np.ndarray:
        """Density."""
        return np.exp(self.log_pdf(theta))

    def cdf(self, theta: Any) -> np.ndarray:
        """Probability of at most ``theta``."""
        return self._scipy.cdf(np.asarray(theta, float)[..., None]) @ self.weights

    def sf(self, theta: Any) -> np.ndarray:
        """Probability of more than ``theta``."""
        return self._scipy.sf(np.asarray(theta, float)[..., None]) @ self.weights

    def quantile(self, p: Any) -> np.ndarray:
        """Value that is not exceeded with probability ``p``.

        Raises
        ------
        SpecificationError
            When a probability is outside [0, 1].
        """
        from scipy.optimize import elementwise

        p = np.asarray(p, float)
        if not np.all((p >= 0) & (p <= 1)):
            raise SpecificationError(f"a quantile needs probabilities within [0, 1]; got {p}")
        each = self._scipy.ppf(p[..., None])[..., self.weights > 0]
        low, high = each.min(axis=-1), each.max(axis=-1)
        if len(self) == 1:
            return low
        # on the real line: quantiles of hazards and of rates near 0 need relative accuracy
        inner = (low < high) & np.isfinite(low) & np.isfinite(high)
        start, end = (np.where(inner, self._to_line(np.where(inner, x, 0.5)), s) for x, s in ((low, -1.0), (high, 1.0)))
        found = elementwise.find_root(
            lambda eta, q: np.where(q > 0.5, (1 - q) - self.sf(self._from_line(eta)[0]),
                                    self.cdf(self._from_line(eta)[0]) - q),
            (start - 1e-9, end + 1e-9), args=(np.where(inner, p, 0.5),), tolerances={"xatol": 1e-14, "xrtol": 1e-14},
        )  # fmt: skip
        return np.where(inner, self._from_line(found.x)[0], low)

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval that holds ``probability``."""
        low, high = self.quantile([(1 - probability) / 2, (1 + probability) / 2])
        return float(low), float(high)

    @cached_property
    def mean(self) -> float:
        """Mean of the mixture."""
        return float(self._scipy.mean() @ self.weights)

    @cached_property
    def variance(self) -> float:
        """Variance of the mixture."""
        means = self._scipy.mean()
        return float((self._scipy.var() + (means - means @ self.weights) ** 2) @ self.weights)

    @property
    def sd(self) -> float:
        """Standard deviation of the mixture."""
        return float(np.sqrt(self.variance))

    @property
    def median(self) -> float:
        """Median of the mixture."""
        return float(self.quantile(0.5))

    @cached_property
    def mode(self) -> float:
        """Where the density is highest."""
        from scipy.optimize import brentq

        line = self._cuts()
        line = np.unique(np.concatenate([np.linspace(a, b, 9) for a, b in pairwise(line)]))
        theta = np.unique(self._from_line(line)[0])
        height = self.log_pdf(theta)
        best = int(np.argmax(height))
        low, high = theta[max(best - 1, 0)], theta[min(best + 1, len(theta) - 1)]
        slopes = self._slope(np.array([low, high]))
        if not slopes[0] > 0 > slopes[1]:
            return float(theta[best])
        return float(brentq(lambda x: float(self._slope(np.array([x]))[0]), low, high, xtol=1e-15, rtol=1e-14))

    def _slope(self, theta: np.ndarray) -> np.ndarray:
        """First derivative of the log density."""
        return (self.shares(theta) * self._derivatives(theta)[0]).sum(axis=-1)

    def shares(self, theta: Any) -> np.ndarray:
        """Probability that a value belongs to each component, shape (..., component)."""
        from scipy.special import softmax

        with np.errstate(divide="ignore"):
            return softmax(self._scipy.logpdf(np.asarray(theta, float)[..., None]) + np.log(self.weights), axis=-1)

    def sample(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw from the mixture, shape (draws,)."""
        which = rng.choice(len(self), size=draws, p=self.weights)
        return self._draw({name: values[which] for name, values in self.parameters.items()}, rng)

    @staticmethod
    @abstractmethod
    def _draw(parameters: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Draw one value for every set of parameters."""

    def expect(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Expectation of ``function`` by Gauss-Legendre quadrature in pieces, exact to about ten digits if smooth.

        Parameters
        ----------
        function : callable
            Takes values of the parameter, shape (node,), and returns shape (..., node).
        """
        theta, weights = self.quadrature
        return np.asarray(function(theta)) @ weights

    @cached_property
    def quadrature(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights under which sums over nodes are expectations."""
        cuts = self._cuts()
        x, w = np.polynomial.legendre.leggauss(NODES)
        half = np.diff(cuts)[:, None] / 2
        line = (cuts[:-1, None] + half + half * x).ravel()
        theta, slope = self._from_line(line)
        inside = (slope > 0) & np.isfinite(theta) & (theta < self._end)
        weights = (half * w).ravel()[inside] * slope[inside] * self.pdf(theta[inside])
        return theta[inside], weights

    def _cuts(self) -> np.ndarray:
        tails = np.array(TAIL)[:, None]
        points = np.concatenate([self._scipy.ppf(tails), self._scipy.median()[None], self._scipy.isf(tails[::-1])])
        line = self._to_line(self._inside(points[:, self.weights > 0]))
        cuts = np.unique(line)
        if len(cuts) > PIECES:
            cuts = cuts[np.linspace(0, len(cuts) - 1, PIECES).round().astype(int)]
        return cuts[np.concatenate([[True], np.diff(cuts) > 1e-9 * (1 + np.abs(cuts[1:]))])]

    @staticmethod
    def _inside(theta: np.ndarray) -> np.ndarray:
        return theta

    def update_weights(self, log_evidence: np.ndarray) -> np.ndarray:
        """Posterior weights from the log marginal likelihood of the data under each component."""
        from scipy.special import softmax

        with np.errstate(divide="ignore"):
            return softmax(np.log(self.weights) + log_evidence)

    def _with_component(self, weight: float, **parameters: float) -> Self:
        if not 0 <= weight <= 1:
            raise SpecificationError(f"the robust weight must be within [0, 1]; got {weight}")
        added = {name: np.append(values, parameters[name]) for name, values in self.parameters.items()}
        return self._with(np.append(self.weights * (1 - weight), weight), added)

    def effective_sample_size(self, method: Method = "elir", **settings: Any) -> float:
        """Number of patients (or events) whose likelihood would say as much as this prior.

        Parameters
        ----------
        method : {"elir", "morita", "moment"}
            ``elir``, expected local information ratio (the only one of the three whose expectation after n patients
            is what it was plus n); ``morita``, at the prior's mode; ``moment``, of the single component with the
            mixture's mean and variance.
        **settings
            ``likelihood`` ("binomial" for a beta; "poisson" or "exponential" for a gamma mixture), and for a normal
            one ``sigma``, the standard deviation of one observation.

        References
        ----------
        Neuenschwander B et al. Biometrics 2020;76:578-587, doi:10.1111/biom.13124 (elir).
        Morita S, Thall PF, Mueller P. Biometrics 2008;64:595-602, doi:10.1111/j.1541-0420.2007.00888.x.
        """
        from smm_bayes.borrowing.mixtures.information import effective_sample_size

        return effective_sample_size(self, method, **settings)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Mixture)
        return len(self) == len(other) and np.array_equal(self.weights, other.weights) and all(
            np.array_equal(values, other.parameters[name]) for name, values in self.parameters.items())  # fmt: skip

    def __hash__(self) -> int:
        return hash((type(self), self.weights.tobytes(), *(v.tobytes() for v in self.parameters.values())))

    def __repr__(self) -> str:
        columns = zip(*self.parameters.values(), strict=True)
        parts = [f"{self.FAMILY}({', '.join(f'{value:.4g}' for value in values)})" for values in columns]
        shares = [f"{weight:.3g} {part}" for weight, part in zip(self.weights, parts, strict=True)]
        low, high = self.interval()
        said = " + ".join(shares) if len(self) > 1 else parts[0]
        return f"{said}: mean {self.mean:.3g}, SD {self.sd:.3g}, 95 % between {low:.3g} and {high:.3g}"


def _vector(name: str, values: Any, problems: Problems) -> np.ndarray:
    try:
        found = np.atleast_1d(np.array(values, float))
    except (TypeError, ValueError):
        problems.add(f"{name} must be numbers; got {values!r}")
        return np.zeros(0)
    if found.ndim != 1 or not np.all(np.isfinite(found)):
        problems.add(f"{name} must be a list of finite numbers; got {values!r}")
    return found


def above_zero(name: str, values: np.ndarray, problems: Problems) -> None:
    """Note a parameter that is not above 0."""
    if np.any(values <= 0):
        problems.add(f"{name} must be above 0; got {values.tolist()}")
