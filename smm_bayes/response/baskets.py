"""Basket trials that share by likeness of their posteriors (Fujikawa): no sampling, exact operating characteristics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.numerics.adaptive import pieces
from smm_bayes.response.binomial import pmf
from smm_bayes.response.two_stage import is_count

FAR, PANELS = 36.0, 72  # range of the log odds over which divergences are integrated, and panels of it
MOST = 4_000_000  # outcomes that are enumerated


@dataclass(frozen=True)
class SharingBaskets:
    r"""Baskets of equal size whose posteriors share where they are alike.

    Basket i has :math:`r_i` responders of n and alone the posterior :math:`\mathrm{Beta}(a + r_i, b + n - r_i)`. With
    the Jensen-Shannon divergence :math:`\mathrm{JS}_{ij}` of two of these (natural logarithms)

    .. math:: w_{ij} = (1 - \mathrm{JS}_{ij})^\epsilon \text{ where above } \tau, \text{ else } 0; \qquad
              \mathrm{Beta}\Big(\sum_j w_{ij} (a + r_j),\ \sum_j w_{ij} (b + n - r_j)\Big)

    is the posterior with borrowing, :math:`w_{ii} = 1`. A basket succeeds when the probability of a rate above
    ``p0`` is at least ``level``. With an interim analysis a basket stops there for futility (or success) when the
    predictive probability, given its posterior with borrowing, that it alone will reach the number of responders that
    succeeds without borrowing is below ``futility`` (above ``efficacy``); the others share with all in the end.

    Parameters
    ----------
    baskets, patients : int
        How many, and n of each.
    p0 : float
    level : float
    epsilon, tau : float
    prior : tuple of float
        a and b.
    interim : int, optional
        Patients of each basket at the interim analysis.
    futility, efficacy : float

    Raises
    ------
    SpecificationError
        When a number is out of range.

    References
    ----------
    Fujikawa K, Teramukai S, Yokota I, Daimon T. Biometrical Journal 2020;62:330-338, doi:10.1002/bimj.201800404.

    Examples
    --------
    >>> design = SharingBaskets(3, 15, p0=0.2, level=0.99, epsilon=2, tau=0.5)
    >>> design.probabilities([1, 5, 7]).round(4)
    array([0.1407, 0.9943, 0.9965])
    """

    baskets: int
    patients: int
    p0: float
    level: float
    epsilon: float = 2.0
    tau: float = 0.0
    prior: tuple[float, float] = (1.0, 1.0)
    interim: int | None = None
    futility: float = 0.1
    efficacy: float = 0.9

    def __post_init__(self) -> None:
        """Refuse what is no design."""
        with Problems("sharing baskets", SpecificationError).collecting() as problems:
            if not (is_count(self.baskets) and is_count(self.patients) and min(self.baskets, self.patients) > 0):
                problems.add(f"baskets and patients must be whole numbers above 0; got {self.baskets}, {self.patients}")
            elif self.interim is not None and not (is_count(self.interim) and 0 < self.interim < self.patients):
                problems.add(f"interim must be a number of patients below {self.patients}; got {self.interim}")
            for name in ("p0", "level"):
                if not 0 < getattr(self, name) < 1:
                    problems.add(f"{name} must be above 0 and below 1; got {getattr(self, name)}")
            if not (self.epsilon >= 0 and 0 <= self.tau < 1 and min(self.prior) > 0):
                problems.add(f"need epsilon from 0, tau within [0, 1) and a prior above 0; got {self.epsilon}, "
                             f"{self.tau} and {self.prior}")  # fmt: skip
            if not 0 <= self.futility < self.efficacy <= 1:
                problems.add(f"need 0 <= futility < efficacy <= 1; got {self.futility} and {self.efficacy}")

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        return (self.patients,) if self.interim is None else (self.interim, self.patients)

    @cached_property
    def _shapes(self) -> np.ndarray:
        """Posteriors alone, (a, b) by state: responders of the interim size, then of the final one."""
        a, b = self.prior
        return np.array([(a + r, b + n - r) for n in self._sizes for r in range(n + 1)])

    @cached_property
    def _weights(self) -> np.ndarray:
        """Give w by two states."""
        from scipy.special import betaln, log_expit, xlogy

        edges = np.linspace(-FAR, FAR, PANELS + 1)
        eta, weight = (x.ravel() for x in pieces(edges[:-1], edges[1:]))
        a, b = self._shapes.T[..., None]
        density = np.exp(a * log_expit(eta) + b * log_expit(-eta) - betaln(a, b))
        entropy = xlogy(density, density) @ weight
        middle = (density[:, None] + density) / 2
        divergence = (entropy[:, None] + entropy) / 2 - xlogy(middle, middle) @ weight
        alike = np.clip(1 - divergence, 0.0, 1.0) ** self.epsilon
        alike[alike <= self.tau] = 0.0
        np.fill_diagonal(alike, 1.0)
        return alike

    def weights(self, responders: Sequence[int]) -> np.ndarray:
        """Give w at the final analysis, shape (basket, basket)."""
        states = self._states(responders)
        return self._weights[states[:, None], states]

    def posteriors(self, responders: Sequence[int]) -> np.ndarray:
        """Parameters of the posteriors with borrowing at the final analysis, shape (basket, 2)."""
        return self._shared(self._states(responders)[None])[0]

    def probabilities(self, responders: Sequence[int]) -> np.ndarray:
        """Posterior probabilities of rates above ``p0`` at the final analysis, shape (basket,)."""
        from scipy.special import betaincc

        a, b = self.posteriors(responders).T
        return betaincc(a, b, self.p0)

    def _states(self, responders: Sequence[int]) -> np.ndarray:
        if len(responders) != self.baskets or not all(is_count(r) and r <= self.patients for r in responders):
            raise SpecificationError(
                f"give responders of each of {self.baskets} baskets, from 0 to {self.patients}; got {responders}"
            )
        return len(self._shapes) - self.patients - 1 + np.asarray(responders)

    def _shared(self, states: np.ndarray) -> np.ndarray:
        """Parameters with borrowing (outcome, basket, 2) of states (outcome, basket)."""
        found = np.zeros((*states.shape, 2))
        for i, j in product(range(self.baskets), repeat=2):
            weight = self._weights[states[:, i], states[:, j]] if i != j else 1.0
            found[:, i] += np.expand_dims(weight, -1) * self._shapes[states[:, j]]
        return found

    def _succeeds(self, states: np.ndarray) -> np.ndarray:
        from scipy.special import betaincc

        shared = self._shared(states)
        return betaincc(shared[..., 0], shared[..., 1], self.p0) >= self.level

    def operating_characteristics(self, p: Any) -> tuple[np.ndarray, float]:
        """Exact probabilities of success at true rates, from every outcome.

        Parameters
        ----------
        p : sequence of float, shape (basket,)

        Returns
        -------
        each : numpy.ndarray, shape (basket,)
            Of each basket.
        any_of_null : float
            That at least one basket whose rate is at most ``p0`` succeeds: the family-wise error; of any basket at
            all where no rate is so low.

        Raises
        ------
        SpecificationError
            When rates are not one for each basket within [0, 1], or there are too many outcomes to enumerate.
        """
        rates = np.asarray(p, float)
        if rates.shape != (self.baskets,) or not np.all((rates >= 0) & (rates <= 1)):
            raise SpecificationError(f"give a response rate within [0, 1] for each of {self.baskets} baskets; got {p}")
        if (self.patients + 1) ** self.baskets > MOST:
            raise SpecificationError(f"more than {MOST} outcomes; use fewer baskets or patients, or simulate")
        null = rates <= self.p0 if np.any(rates <= self.p0) else np.ones(self.baskets, bool)
        each, either = np.zeros(self.baskets), 0.0
        for chance, success in self._outcomes(rates):
            each += chance @ success
            either += float(chance @ success[:, null].any(axis=1))
        return each, either

    def _outcomes(self, rates: np.ndarray) -> Any:
        """Give probabilities (outcome,) and successes (outcome, basket), block by block."""
        first = self._sizes[0]
        counts = np.array(list(product(range(first + 1), repeat=self.baskets)))
        chance = _joint(counts, first, rates)
        if self.interim is None:
            yield chance, self._succeeds(counts)
            return
        verdict = self._at_interim(counts)
        for pattern in np.unique(verdict, axis=0):
            rows = (verdict == pattern).all(axis=1)
            yield from self._go_on(counts[rows], chance[rows], pattern, rates)

    def _at_interim(self, counts: np.ndarray) -> np.ndarray:
        """-1 for baskets that stop for futility, 1 for those that stop for success, 0 for the others."""
        from scipy.special import betaincc, betaln, comb

        a, b = self._shapes[-self.patients - 1 :].T
        alone = np.flatnonzero(betaincc(a, b, self.p0) >= self.level)
        needed = int(alone[0]) if len(alone) else self.patients + 1
        shared, ahead = self._shared(counts), self.patients - (self.interim or 0)
        y = np.arange(ahead + 1)
        a, b = shared[..., 0, None], shared[..., 1, None]
        predictive = comb(ahead, y) * np.exp(betaln(a + y, b + ahead - y) - betaln(a, b))
        chance = (predictive * (counts[..., None] + y >= needed)).sum(axis=-1)
        return (chance > self.efficacy).astype(int) - (chance < self.futility)

    def _go_on(self, counts: np.ndarray, chance: np.ndarray, pattern: np.ndarray, rates: np.ndarray) -> Any:
        """Second stage of the baskets that go on, for interim outcomes of one pattern of stopping."""
        going, first = np.flatnonzero(pattern == 0), (self.interim or 0)
        more = np.array(list(product(range(self.patients - first + 1), repeat=len(going))), int)
        then = _joint(more, self.patients - first, rates[going])
        for seen, before in zip(counts, chance, strict=True):
            states = np.tile(seen, (len(more), 1))
            states[:, going] += first + 1 + more  # final states come after those of the interim
            success = self._succeeds(states)
            success[:, pattern != 0] = (pattern == 1)[pattern != 0]
            yield before * then, success


def _joint(counts: np.ndarray, size: int, rates: np.ndarray) -> np.ndarray:
    """Probability of every row of counts (outcome, basket) of independent binomials."""
    tables = pmf(size, rates)
    found = np.ones(len(counts))
    for basket, table in enumerate(tables):
        found = found * table[counts[:, basket]]
    return found
