"""What every mixture of one parameter shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures import line
from smm_bayes.priors.mixtures.components import Components, check_weights, vector

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.effective_sample_size import Method

SHOWN = 8  # components that are printed one by one


class Mixture(Components):
    r"""A finite mixture, :math:`p(\theta) = \sum_k w_k\,p(\theta \mid \text{component } k)`.

    Attributes
    ----------
    weights : numpy.ndarray, shape (component,)
        Not negative, summing to 1.
    parameters : dict of str to numpy.ndarray, each of shape (component,)
        Of the components, under the names of the constructor.
    """

    def __init__(self, weights: Any, **parameters: Any) -> None:
        problems = Problems(type(self).__name__, SpecificationError)
        weights = vector("weights", weights, problems)
        found = {name: vector(name, values, problems) for name, values in parameters.items()}
        problems.raise_if_any()
        for name, values in found.items():
            if len(values) != len(weights):
                problems.add(f"{name} has {len(values)} values for {len(weights)} weights; give one a component")
            self._check(name, values, problems)
        weights = check_weights(weights, problems)
        problems.raise_if_any()
        for values in (weights, *found.values()):
            values.setflags(write=False)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "_parameters", found)

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Of the components, under the names of the constructor."""
        return dict(self._parameters)

    # cached_property writes into the instance's dictionary and so passes by __setattr__
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change; make another one")

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def _cuts(self) -> np.ndarray:
        return line.cuts(self)

    def log_pdf(self, theta: Any) -> np.ndarray:
        """Logarithm of the density; minus infinity outside the parameter's range."""
        from scipy.special import logsumexp

        with np.errstate(divide="ignore"):
            return logsumexp(self._log_densities(np.asarray(theta, float)) + np.log(self.weights), axis=-1)

    def pdf(self, theta: Any) -> np.ndarray:
        """Density."""
        return np.exp(self.log_pdf(theta))

    def cdf(self, theta: Any) -> np.ndarray:
        """Probability of at most ``theta``."""
        return self._cdfs(np.asarray(theta, float)) @ self.weights

    def sf(self, theta: Any) -> np.ndarray:
        """Probability of more than ``theta``."""
        return self._sfs(np.asarray(theta, float)) @ self.weights

    def quantile(self, p: Any) -> np.ndarray:
        """Value that is not exceeded with probability ``p``.

        Raises
        ------
        SpecificationError
            When a probability is outside [0, 1].
        """
        return line.quantile(self, np.asarray(p, float))

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval that holds ``probability``."""
        low, high = self.quantile([(1 - probability) / 2, (1 + probability) / 2])
        return float(low), float(high)

    @cached_property
    def mean(self) -> float:
        """Mean of the mixture."""
        return float(self._moments()[0] @ self.weights)

    @cached_property
    def variance(self) -> float:
        """Variance of the mixture."""
        means, variances = self._moments()
        return float((variances + (means - self.mean) ** 2) @ self.weights)

    @property
    def sd(self) -> float:
        """Standard deviation of the mixture."""
        return float(np.sqrt(self.variance))

    @cached_property
    def median(self) -> float:
        """Median of the mixture."""
        return float(self.quantile(0.5))

    @cached_property
    def mode(self) -> float:
        """Where the density is highest; an end of the range where it has no bound; the lowest if there are several."""
        return line.mode(self)

    def shares(self, theta: Any) -> np.ndarray:
        """Probability that a value belongs to each component, shape (..., component)."""
        from scipy.special import softmax

        theta = np.asarray(theta, float)
        inside = self._from_line(self._to_line(theta))
        with np.errstate(divide="ignore"):
            found = softmax(self._log_densities(inside) + np.log(self.weights), axis=-1)
        return np.where(((theta >= self._range[0]) & (theta <= self._range[1]))[..., None], found, np.nan)

    def sample(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw from the mixture, shape (draws,)."""
        which = rng.choice(len(self), size=draws, p=self.weights)
        return self._draw({name: values[which] for name, values in self._parameters.items()}, rng)

    def expect(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Expectation of ``function`` by Gauss-Legendre quadrature in pieces, exact to about twelve digits if smooth.

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
        nodes = line.quadrature(self, self._cuts)
        return self._from_line(nodes.line), nodes.step * (np.exp(nodes.log_density) @ self.weights)

    def update_weights(self, log_evidence: np.ndarray) -> np.ndarray:
        """Posterior weights from the log marginal likelihood of the data under each component."""
        from scipy.special import softmax

        with np.errstate(divide="ignore"):
            return softmax(np.log(self.weights) + log_evidence)

    def _with_component(self, weight: float, **parameters: float) -> Self:
        if not 0 <= weight <= 1:
            raise SpecificationError(f"the robust weight must be within [0, 1]; got {weight}")
        added = {name: np.append(values, parameters[name]) for name, values in self._parameters.items()}
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
        from smm_bayes.priors.mixtures.effective_sample_size import effective_sample_size

        return effective_sample_size(self, method, **settings)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Mixture)
        return len(self) == len(other) and np.array_equal(self.weights, other.weights) and all(
            np.array_equal(values, other._parameters[name]) for name, values in self._parameters.items())  # fmt: skip

    def __hash__(self) -> int:
        return hash((type(self), self.weights.tobytes(), *(v.tobytes() for v in self._parameters.values())))

    def _summary(self) -> str:
        low, high = self.interval()
        return f"mean {self.mean:.3g}, SD {self.sd:.3g}, 95 % between {low:.3g} and {high:.3g}"

    def __repr__(self) -> str:
        columns = zip(*self._parameters.values(), strict=True)
        parts = [f"{self.FAMILY}({', '.join(f'{value:.4g}' for value in values)})" for values in columns]
        shares = [f"{weight:.3g} {part}" for weight, part in zip(self.weights, parts, strict=True)]
        if len(self) > SHOWN:
            return f"{len(self)} {self.FAMILY} components: {self._summary()}"
        return f"{' + '.join(shares) if len(self) > 1 else parts[0]}: {self._summary()}"

    def _repr_html_(self) -> str:
        columns = {"weight": self.weights, **self._parameters}
        rows = [[f"{value:.4g}" for value in row] for row in zip(*columns.values(), strict=True)]
        return markup.table(rows, head=list(columns), caption=f"{type(self).__name__}: {self._summary()}", labels=0)
