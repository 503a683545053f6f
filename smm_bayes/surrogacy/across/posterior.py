"""The regression of trials' effects on survival on their effects on negativity, by quadrature."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.results import Result
from smm_bayes.surrogacy.across.marginal import covariances
from smm_bayes.surrogacy.across.pairs import TrialPairs
from smm_bayes.surrogacy.across.predictive import Predicted
from smm_bayes.surrogacy.across.priors import AcrossPriors
from smm_bayes.surrogacy.across.quadrature import Draws, Nodes, Quadrature

if TYPE_CHECKING:
    import pandas as pd

BIVARIATE, DANIELS_HUGHES = "bivariate", "daniels_hughes"
FORMS = (BIVARIATE, DANIELS_HUGHES)
NEGLIGIBLE = 1e-10  # weight of a node of a prediction
FINE = (31, 61, 61)  # nodes for posterior means


@dataclass(frozen=True, eq=False, repr=False)
class AcrossTrials(Result):
    r"""Surrogacy across trials: a regression of effects with errors in both.

    .. math::
        (\hat\theta_{Mi}, \hat\theta_{Pi}) &\sim N\left((\theta_{Mi}, \theta_{Pi}),
        \begin{pmatrix} s_{Mi}^2 & \rho s_{Mi} s_{Pi} \\ \cdot & s_{Pi}^2 \end{pmatrix}\right) \\
        \theta_{Pi} &\sim N(a + b\,\theta_{Mi}, \psi^2)

    with log odds ratios of negativity :math:`\theta_M` and log hazard ratios :math:`\theta_P`. In the bivariate form
    :math:`\theta_{Mi} \sim N(\mu, \tau^2)`; in that of Daniels and Hughes :math:`\theta_{Mi}` is flat. With errors of
    :math:`\hat\theta_M` that are not small beside the spread of :math:`\theta_M` the flat form draws the slope towards
    0, as an ordinary regression does. The correlation :math:`\rho` within trials is not published: it is given and
    never estimated; see :func:`~.sensitivity.sensitivity`.

    Attributes
    ----------
    pairs : TrialPairs
    priors : AcrossPriors
    correlation : float
        :math:`\rho`, above -1 and below 1.
    form : {"bivariate", "daniels_hughes"}

    Raises
    ------
    SpecificationError
        For another form, or a correlation outside (-1, 1).

    References
    ----------
    Daniels MJ, Hughes MD. Statistics in Medicine 1997;16:1965-1982. Bujkiewicz S et al. NICE DSU Technical Support
    Document 20, 2019.

    Examples
    --------
    >>> import numpy as np, smm_bayes as smm
    >>> odds, hazard = np.log([1.5, 2.0, 3.0, 4.0]), np.log([0.9, 0.7, 0.6, 0.5])
    >>> pairs = smm.TrialPairs.from_arrays(odds, [0.3] * 4, hazard, [0.15] * 4)
    >>> posterior = smm.AcrossTrials(pairs)
    >>> posterior.table().round(2)
                 mean    sd
    slope       -0.52  0.36
    residual SD  0.14  0.11
    >>> print(posterior.predict(np.log(2.5)).summary())
    predicted hazard ratio 0.65 (95 % 0.40 to 1.05), below 1 with probability 0.968
    """

    pairs: TrialPairs
    priors: AcrossPriors = field(default_factory=AcrossPriors)
    correlation: float = 0.0
    form: str = BIVARIATE

    def __post_init__(self) -> None:
        """Refuse what names no model."""
        with Problems("surrogacy across trials", SpecificationError).collecting() as problems:
            if self.form not in FORMS:
                problems.add(f"form must be {' or '.join(FORMS)}; found {self.form!r}")
            if not -1 < self.correlation < 1:
                problems.add(f"correlation must be above -1 and below 1; found {self.correlation}")

    @property
    def is_bivariate(self) -> bool:
        """Whether effects on negativity are normal over trials."""
        return self.form == BIVARIATE

    @cached_property
    def quadrature(self) -> Quadrature:
        """Where the posterior is."""
        return Quadrature.explore(self.pairs, self.priors, self.correlation, self.is_bivariate)

    @cached_property
    def nodes(self) -> Nodes:
        """The posterior on nodes."""
        return self.quadrature.nodes()

    def means(self) -> dict[str, float]:
        """Posterior means by the names of the PyMC model's variables, without sampling.

        On more nodes of the standard deviations: means of these, unlike of their squares, see the edge at 0.
        """
        nodes = self.quadrature.nodes(FINE)
        names = ("slope", "residual_sd", *(("spread",) if self.is_bivariate else ()))
        found = {name: float(nodes.mass @ getattr(nodes, name)) for name in names}
        found["intercept"] = float(nodes.mass @ nodes.given.intercept)
        return found | ({"mean": float(nodes.mass @ nodes.given.mean)} if self.is_bivariate else {})

    def draws(self, size: int = 4000, *, rng: np.random.Generator) -> Draws:
        """Draw from the posterior, independently."""
        return self.quadrature.draws(size, rng=rng)

    def predict(self, log_odds_ratio: float, se: float = 0.0, *, hazard_ratio_se: float = 0.0) -> Predicted:
        r"""Predict a new trial's log hazard ratio from its estimated log odds ratio.

        The posterior of (a, b, psi, mu, tau) is integrated over. In the bivariate form the new trial is one more of
        the same kind, so that its estimate is drawn towards :math:`\mu` and tells of the parameters too; in the other
        form it is taken as it is.

        Parameters
        ----------
        log_odds_ratio : float
            Estimate :math:`\hat\theta_M`, or the effect itself when ``se`` is 0.
        se : float
            Its standard error.
        hazard_ratio_se : float
            When above 0, the ESTIMATE of the log hazard ratio with this standard error is predicted, its error being
            correlated within the trial; otherwise the effect itself.

        Raises
        ------
        SpecificationError
            For numbers that are not finite and standard errors below 0.
        """
        if not all(map(math.isfinite, (log_odds_ratio, se, hazard_ratio_se))) or min(se, hazard_ratio_se) < 0:
            raise SpecificationError("a prediction needs a finite log odds ratio and standard errors of 0 or more; "
                                     f"found {log_odds_ratio}, {se} and {hazard_ratio_se}")  # fmt: skip
        nodes, known = self.nodes, self.nodes.given
        within, across, residual = covariances(
            np.asarray(se), np.asarray(hazard_ratio_se), self.correlation, nodes.slope, nodes.spread, nodes.residual_sd
        )
        mean, variance, weights = known.intercept, known.intercept_variance + residual, nodes.mass
        if self.is_bivariate:
            whole = known.mean_variance + within
            away = log_odds_ratio - known.mean
            along = (known.covariance + across) / whole
            mean, variance = mean + along * away, variance - along * (known.covariance + across)
            weights = weights * np.exp(-0.5 * away**2 / whole) / np.sqrt(whole)
            weights = weights / weights.sum()
        kept = weights > NEGLIGIBLE * weights.max()
        return Predicted(weights[kept] / weights[kept].sum(), (mean + nodes.slope * log_odds_ratio)[kept],
                         np.sqrt(np.maximum(variance, 1e-16))[kept])  # fmt: skip

    def probability_of_benefit(self, log_odds_ratio: np.ndarray | float) -> np.ndarray:
        """Probability that a trial with this (known) log odds ratio has a hazard ratio below 1, over the posterior."""
        from scipy.special import ndtr

        nodes = self.nodes
        effect = np.asarray(log_odds_ratio, float)[..., None]
        sd = np.sqrt(nodes.given.intercept_variance + nodes.residual_sd**2)
        return ndtr(-(nodes.given.intercept + nodes.slope * effect) / sd) @ nodes.mass

    def table(self) -> pd.DataFrame:
        """Give slope and residual SD as rows: mean and SD, without Monte Carlo error."""
        import pandas as pd

        nodes, rows = self.nodes, {}
        for name, values in (("slope", nodes.slope), ("residual SD", nodes.residual_sd)):
            mean = float(nodes.mass @ values)
            rows[name] = mean, math.sqrt(float(nodes.mass @ (values - mean) ** 2))
        return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd"])

    def summary(self) -> str:
        """Say the slope and what it is of."""
        nodes = self.nodes
        slope = float(nodes.mass @ nodes.slope)
        sd = math.sqrt(float(nodes.mass @ (nodes.slope - slope) ** 2))
        return (f"surrogacy across {len(self.pairs)} trials ({self.form.replace('_', '-')}, correlation within trials "
                f"{self.correlation:g}): slope {slope:.2f} (SD {sd:.2f}) of log hazard on log odds ratio")  # fmt: skip

    def __repr__(self) -> str:
        return self.summary()
