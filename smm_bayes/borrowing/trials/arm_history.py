"""What earlier trials saw of one arm, and the prior of its log hazards before any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.clinical import BaselinePrior
from smm_bayes.priors.mixtures import MultivariateNormalMixture
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.walk import spacing


@dataclass(frozen=True, eq=False)
class ArmHistory:
    """What earlier trials saw of one regimen.

    Attributes
    ----------
    grid : TimeGrid
    names : tuple of str
        Of the trials, each once.
    events, exposure : numpy.ndarray, shape (trial, interval)
        Events, and patient-months at risk.

    Raises
    ------
    SpecificationError
        When there is no trial or one twice, shapes are not those of trials and grid, or numbers are negative, not
        finite, or events without exposure.
    """

    grid: TimeGrid
    names: tuple[str, ...]
    events: np.ndarray
    exposure: np.ndarray

    def __post_init__(self) -> None:
        """Refuse what no trials could give."""
        problems = Problems("earlier trials of one arm", SpecificationError)
        if not self.names or len(set(self.names)) < len(self.names):
            problems.add(f"need one trial at least and each name once; got {', '.join(self.names) or 'none'}")
        shape, whole = (len(self.names), len(self.grid)), True
        for name in ("events", "exposure"):
            values = np.array(getattr(self, name), float)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
            if values.shape != shape:
                problems.add(f"{name} must have shape (trial, interval) {shape}, on the grid of the current trial; "
                             f"got {values.shape}")  # fmt: skip
            elif not np.all(np.isfinite(values)) or np.any(values < 0):
                problems.add(f"{name} must be finite and not negative")
            whole = whole and values.shape == shape
        if whole and np.any((self.events > 0) & (self.exposure <= 0)):
            problems.add("there are events in an interval without exposure; correct either")
        problems.raise_if_any()

    @classmethod
    def of(
        cls, trials: Trials, regimen: str, *, endpoints: Mapping[str, float] | None = None,
        populations: Mapping[str, float] | None = None,
    ) -> ArmHistory:  # fmt: skip
        """Gather the earlier arms that were given ``regimen``: events of the first cause.

        An experimental arm's deviation counts once: that of its trial and that of its hazard ratio are not told apart.

        Parameters
        ----------
        trials : Trials
        regimen : str
        endpoints, populations : mapping of str to float, optional
            By definition of the event, and by population: how many times as frequent the event is in the analysis. The
            arm's exposure is divided by it; how uncertain it is does not count.

        Raises
        ------
        SpecificationError
            When there is no such arm, or one counts its events together with other causes or by another definition,
            which :func:`~smm_bayes.borrowing.hierarchical_model` can allow for.
        """
        ratios = {"endpoint": {"": 1.0, **(endpoints or {})}, "population": {"": 1.0, **(populations or {})}}
        arms = [c for c in trials.cohorts if c.trial != trials.current and c.regimen == regimen]
        if not arms:
            given = dict.fromkeys(c.regimen for c in trials.cohorts if c.trial != trials.current)
            raise SpecificationError(f"no earlier trial gave {regimen}; they gave {', '.join(given) or 'nothing'}")
        with Problems(f"earlier trials of {regimen}", SpecificationError).collecting() as problems:
            for arm in arms:
                if (trials.causes[0],) not in arm.series:
                    problems.add(f"'{arm.trial}' does not count {trials.causes[0]} by itself; leave it out")
                for words in _unlike(arm, ratios):
                    problems.add(words)
        return cls(trials.grid, tuple(c.trial for c in arms), np.array([_counted(c, trials.causes[0]) for c in arms]),
                   np.array([c.exposure / (ratios["endpoint"][c.endpoint] * ratios["population"][c.population])
                             for c in arms]))  # fmt: skip

    def silent(self) -> ArmHistory:
        """Give the same trials without events and exposure."""
        return replace(self, events=0 * self.events, exposure=0 * self.exposure)

    def __repr__(self) -> str:
        said = [f"{name} {events:g} events in {exposure:,.0f} patient-months" for name, events, exposure in zip(
            self.names, self.events.sum(axis=1), self.exposure.sum(axis=1), strict=True)]  # fmt: skip
        return f"ArmHistory: {'; '.join(said)}"


def _unlike(arm: Cohort, ratios: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Say what of an arm is unlike the analysis, where no ratio allows for it."""
    said = {"endpoint": "counts {0}, not what the analysis counts", "population": "has patients of {0}"}
    return [f"'{arm.trial}' {said[kind].format(getattr(arm, kind))}; say in {kind}s how many times as frequent the "
            "event of the analysis is, or leave it out"
            for kind, known in ratios.items() if not known.get(getattr(arm, kind), 0.0) > 0]  # fmt: skip


def _counted(arm: Cohort, cause: str) -> np.ndarray:
    return arm.events[arm.series.index((cause,))]


def smooth_initial(baseline: BaselinePrior, yearly_sd: float, grid: TimeGrid) -> MultivariateNormalMixture:
    r"""Prior of log hazards before any data: a level, and a random walk with a known SD of the change in a year.

    :math:`h = \ell 1 + w - \bar w 1`, :math:`\ell \sim N(m, s^2)` of ``baseline``,
    :math:`w_{j+1} - w_j \sim N(0, \sigma^2 t_j)`, with :math:`t_j` the years between the intervals' middles.

    Parameters
    ----------
    baseline : BaselinePrior
    yearly_sd : float
        :math:`\sigma`.
    grid : TimeGrid

    Raises
    ------
    SpecificationError
        When ``yearly_sd`` is not above 0.
    """
    if not 0 < yearly_sd < np.inf:
        raise SpecificationError(f"yearly_sd must be above 0; got {yearly_sd}")
    size = len(grid)
    steps = np.tril(np.ones((size, size)), -1)[:, : size - 1]
    if size > 1:
        steps = steps * np.sqrt(spacing(grid))
    steps = steps - steps.mean(axis=0)
    covariance = baseline.sd**2 * np.ones((size, size)) + yearly_sd**2 * steps @ steps.T
    return MultivariateNormalMixture([1.0], np.full((1, size), baseline.mean), covariance[None], grid.labels)
