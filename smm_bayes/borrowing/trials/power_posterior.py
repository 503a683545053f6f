r"""Posterior of learnt powers and of what they are borrowed for, by quadrature over the powers.

Given the powers everything is in closed form, so only they are integrated over. With one power per trial,
:math:`a = u^3` and Gauss–Jacobi nodes in u: they are those of a Gauss–Legendre rule under a flat prior, closer to 0,
where the evidence bends most, and they hold a beta prior with any parameters. Up to three trials are a tensor of such
rules; every further trial would take as many times the time, so more are integrated over scrambled Sobol points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.conjugate import draw_log_gamma
from smm_bayes.borrowing.trials.histories import HazardHistory
from smm_bayes.borrowing.trials.power_margin import PowerMargin, beta_rule
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import Mixture
from smm_bayes.results import Result, plot_intervals

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from smm_bayes.borrowing.trials.power import BetaPower, NormalisedPowerPrior

NODES = {1: 80, 2: 48, 3: 32}  # a trial; by number of trials
MOST = 3  # trials that a tensor of rules is made for
SCRAMBLES, POINTS = 8, 2**12  # of Sobol points, beyond
NEGLIGIBLE = 1e-14  # weight of a node that is left out of a mixture, against the largest
COMPONENTS, COARSE = 2**12, 16  # of a mixture at most, and nodes of each of three powers that give as many


@dataclass(frozen=True, eq=False)
class PowerPosterior(Result):
    """Posterior (without current data: prior) under learnt powers. Made by :meth:`NormalisedPowerPrior.posterior`.

    Attributes
    ----------
    prior : NormalisedPowerPrior
    current : numpy.ndarray or None, shape (2, cell)
        Sums of the current data.
    nodes : numpy.ndarray, shape (node, trial)
        Powers.
    shares, weights : numpy.ndarray, shape (node,)
        Prior and posterior probability of every node.
    log_marginal_likelihood : float
        Of the current patients' data one by one, averaged over the powers.
    error : float
        Monte Carlo standard error of that, 0 for a tensor of Gauss rules.
    """

    prior: NormalisedPowerPrior
    current: np.ndarray | None
    nodes: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    log_marginal_likelihood: float
    error: float

    @cached_property
    def margins(self) -> tuple[PowerMargin, ...]:
        """Distribution of every power."""
        return tuple(self._margin(trial) for trial in range(self.nodes.shape[1]))

    def _margin(self, trial: int) -> PowerMargin:
        priors = self.prior.priors
        if len(priors) <= MOST:
            others, shares, _ = power_nodes(priors[:trial] + priors[trial + 1 :], NODES[len(priors)], None)
        else:  # one set of points for all powers is one for the others
            others, shares = np.delete(self.nodes[:POINTS], trial, axis=1), np.full(POINTS, 1 / POINTS)
        mean = float(self.weights @ self.nodes[:, trial])
        sd = float(np.sqrt(self.weights @ (self.nodes[:, trial] - mean) ** 2))
        return PowerMargin.of(self.prior, trial, self.current, others, shares, mean, sd)

    def power(self, name: str) -> PowerMargin:
        """Distribution of the power of one trial.

        Raises
        ------
        SpecificationError
            When there is no such trial.
        """
        names = self.prior.history.names
        if name not in names:
            raise SpecificationError(f"no trial '{name}'; there are {', '.join(names)}")
        return self.margins[names.index(name)]

    @cached_property
    def cells(self) -> tuple[Mixture, ...]:
        """Distribution of every cell: a mixture over the powers' nodes, of gammas for hazards and betas for a rate."""
        nodes, weights = self._components()
        parameters = self.prior.history.parameters(nodes, self.current)
        return tuple(self.prior.history.mixture(weights, parameters[..., cell]) for cell in range(parameters.shape[-1]))

    def _components(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the mixtures: a coarser rule where too many nodes count (then all of it is smooth)."""
        nodes, weights = self.nodes, self.weights
        if (weights > NEGLIGIBLE * weights.max()).sum() > COMPONENTS:
            few = len(self.prior.priors) <= MOST
            coarse = power_nodes(self.prior.priors, COARSE, None) if few else (nodes[:POINTS], np.ones(POINTS))
            nodes, shares = coarse[:2]
            weights = _weigh(self.prior.history.log_evidence(nodes, self.current), shares)[0]
        kept = weights > NEGLIGIBLE * weights.max()
        return nodes[kept], weights[kept] / weights[kept].sum()

    @cached_property
    def correlation(self) -> np.ndarray:
        """Correlation of the powers, shape (trial, trial)."""
        covariance = np.atleast_2d(np.cov(self.nodes.T, aweights=self.weights, ddof=0))
        sd = np.sqrt(np.diag(covariance))
        return covariance / np.outer(sd, sd)

    @cached_property
    def if_agreeing(self) -> np.ndarray:
        """Mean power of every trial, had the current data the same size and exactly the rates of the trials pooled.

        Shape (trial,). It says how much of the distance to 1 is disagreement, and how much is that powers learn little.
        """
        history, current = self.prior.history, self.current
        agreeing = None if current is None else history.agreeing(current)
        return _weigh(history.log_evidence(self.nodes, agreeing), self.shares)[0] @ self.nodes

    def sample(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw powers (draw, trial) at the nodes, and given them all cells together.

        Returns
        -------
        dict of str to numpy.ndarray
            ``power`` (draw, trial), and ``log_hazard`` (draw, arm, cause, interval) with one arm, or ``rate`` (draw,).
        """
        history = self.prior.history
        powers = self.nodes[rng.choice(len(self.weights), size=draws, p=self.weights)]
        first, second = np.moveaxis(history.parameters(powers, self.current), 1, 0)
        if not isinstance(history, HazardHistory):
            return {"power": powers, "rate": rng.beta(first[:, 0], second[:, 0])}
        log_hazard = draw_log_gamma(first, second, rng=rng)
        return {"power": powers, "log_hazard": log_hazard.reshape(draws, 1, len(history.causes), len(history.grid))}

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give the power of every trial, and what is borrowed for, as a row: mean, SD, median and limits."""
        import pandas as pd

        history = self.prior.history
        rows: dict[str, PowerMargin | Mixture] = dict(zip(history.labels, self.cells, strict=True))
        powers = {f"power of {name}": one for name, one in zip(history.names, self.margins, strict=True)}
        rows = {**powers, **rows}
        found = [(one.mean, one.sd, float(one.quantile(0.5)), *one.interval(probability)) for one in rows.values()]
        return pd.DataFrame(found, index=list(rows), columns=["mean", "sd", "median", "lower", "upper"])

    def summary(self) -> str:
        """Say the same, with what the powers would be had the current data agreed."""
        return repr(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw median and 95 % interval of every power."""
        return plot_intervals(self.table().iloc[: len(self.margins)], ax, xlabel="power")

    def __repr__(self) -> str:
        history, lines = self.prior.history, []
        for index, (name, margin) in enumerate(zip(history.names, self.margins, strict=True)):
            lines.append(f"\n  power of {name}: {margin!r}")
            if self.current is not None:
                lines.append("\n    had the current data agreed perfectly its mean would be "
                             f"{self.if_agreeing[index]:.3g} even then, under the {self.prior.priors[index]}")
        for label, cell in zip(history.labels, self.cells, strict=True):
            low, high = cell.interval()
            lines.append(f"\n  {label}: mean {cell.mean:.3g}, SD {cell.sd:.3g}, 95 % between {low:.3g} and {high:.3g}")
        said = "prior" if self.current is None else "posterior"
        return f"PowerPosterior ({said}): log marginal likelihood {self.log_marginal_likelihood:.4g}{''.join(lines)}"


def power_posterior(
    prior: NormalisedPowerPrior, current: Any = None, *, nodes: int | None = None,
    rng: np.random.Generator | None = None,
) -> PowerPosterior:  # fmt: skip
    """Integrate over the powers.

    Parameters
    ----------
    prior : NormalisedPowerPrior
    current : EventTable, or (responders, patients), optional
        Without them the prior is given.
    nodes : int, optional
        For each power; 80, 48 or 32 for one, two or three trials. The time grows as ``nodes`` to the number of trials;
        more than three trials take 8 times 4096 Sobol points instead, however many they are.
    rng : numpy.random.Generator, optional
        Scrambles the Sobol points; needed for more than three trials.

    Returns
    -------
    PowerPosterior

    Raises
    ------
    SpecificationError
        When the current data do not fit, or more than three trials are given without ``rng``.
    """
    history = prior.history
    sums = None if current is None else history.current_sums(current)
    powers, shares, sets = power_nodes(prior.priors, nodes, rng)
    weights, log_evidence = _weigh(history.log_evidence(powers, sums), shares)
    error = 0.0
    if sets > 1:
        each = [_weigh(part, np.ones(len(part)))[1] for part in np.split(history.log_evidence(powers, sums), sets)]
        error = float(np.std(each, ddof=1) / np.sqrt(sets))
    return PowerPosterior(prior, sums, powers, shares, weights, log_evidence, error)


def power_nodes(
    priors: Sequence[BetaPower], nodes: int | None, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Powers (node, trial), their prior weights (node,), and how many independent sets of points they are."""
    from scipy.stats import beta, qmc

    trials = len(priors)
    if trials == 0:
        return np.zeros((1, 0)), np.ones(1), 1
    if trials <= MOST:
        rules = [beta_rule(prior.p, prior.q, nodes or NODES[trials]) for prior in priors]
        powers = np.stack([axis.ravel() for axis in np.meshgrid(*(a for a, _ in rules), indexing="ij")], axis=-1)
        shares = np.prod([axis.ravel() for axis in np.meshgrid(*(w for _, w in rules), indexing="ij")], axis=0)
        return powers, shares, 1
    if rng is None:
        raise SpecificationError(f"{trials} trials need rng: their powers are integrated over scrambled Sobol points")
    points = np.concatenate([qmc.Sobol(trials, rng=rng).random(POINTS) for _ in range(SCRAMBLES)])
    powers = beta.ppf(points, [prior.p for prior in priors], [prior.q for prior in priors])
    return powers, np.full(len(powers), 1 / len(powers)), SCRAMBLES


def _weigh(log_evidence: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, float]:
    """Posterior weights of nodes, and log of the mean evidence."""
    highest = log_evidence.max()
    weights = shares * np.exp(log_evidence - highest)
    return weights / weights.sum(), float(highest + np.log(weights.sum() / shares.sum()))
