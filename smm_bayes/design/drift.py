"""What borrowing does as the truth drifts from history: pull and gain, errors and power."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.design.methods import LogRatioPrior, Methods, control_posterior, ratio_posterior
from smm_bayes.design.scenarios import Block, over_scenarios, share
from smm_bayes.design.two_arm import TwoArmDesign
from smm_bayes.errors import Problems, SpecificationError

if TYPE_CHECKING:
    import pandas as pd

NONE = "no borrowing"


def conflict_table(
    methods: Methods, log_hazard: np.ndarray, events: Sequence[float], *, ratio: float = 3.0
) -> pd.DataFrame:
    r"""How far each method pulls towards history in conflict, and what it gains in agreement.

    The current arm has d events, as many in every interval, in the exposure in which they are expected: under the
    hazards of history for the gain, under ``ratio`` times these for the pull.

    Parameters
    ----------
    methods : mapping of str to Method
        With "no borrowing" among them.
    log_hazard : numpy.ndarray, shape (interval,)
        Where history is.
    events : sequence of float
        Numbers of current events, above 0.
    ratio : float
        Current hazard over history's in the conflict, above 0 and not 1.

    Returns
    -------
    pandas.DataFrame
        Columns method, events, ``pull`` (shift of the posterior mean of the log hazard, averaged over intervals,
        towards history, as a share of log ``ratio``: 0 is none) and ``effective_events`` (one over the posterior
        variance of that average, less that without borrowing, where the current hazard is history's: the events that
        would say as much, if as many fell into every interval).

    Raises
    ------
    SpecificationError
        When there is no method without borrowing, or a number is out of range.
    """
    import pandas as pd

    counts = np.asarray(events, float)
    with Problems("pull and gain", SpecificationError).collecting() as problems:
        if NONE not in methods:
            problems.add(f"the methods must include '{NONE}', which others are compared with")
        if not (len(counts) and np.all((counts > 0) & (counts < np.inf)) and 0 < ratio < np.inf and ratio != 1):
            problems.add(f"events and ratio must be above 0, and ratio not 1; got {list(events)} and {ratio}")
    spread = np.repeat(counts[:, None] / len(log_hazard), len(log_hazard), axis=1)
    agree, conflict = (spread / (np.exp(log_hazard) * scale) for scale in (1.0, ratio))
    alone = control_posterior(methods[NONE], spread, agree)[1], control_posterior(methods[NONE], spread, conflict)[0]
    found = []
    for name, method in methods.items():
        sd, mean = control_posterior(method, spread, agree)[1], control_posterior(method, spread, conflict)[0]
        found.append(pd.DataFrame({"method": name, "events": counts, "pull": (alone[1] - mean) / np.log(ratio),
                                   "effective_events": sd**-2 - alone[0] ** -2}))  # fmt: skip
    return pd.concat(found, ignore_index=True)


def operating_characteristics(
    methods: Methods, design: TwoArmDesign, *, drifts: Sequence[float], hazard_ratios: Sequence[float], seed: int,
    replicates: int = 10_000, probability: float = 0.975, ratio: LogRatioPrior | None = None,
    executor: Executor | None = None, progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """How often the final analysis of a rule that borrows succeeds, as the control arm drifts from history.

    Success is a posterior probability above ``probability`` that the hazard ratio is below 1. All methods see the
    same simulated trials. Posteriors are those of :func:`~smm_bayes.design.ratio_posterior`.

    Parameters
    ----------
    methods : mapping of str to Method
    design : TwoArmDesign
        ``log_hazard`` where history is.
    drifts : sequence of float
        Current control hazard over history's.
    hazard_ratios : sequence of float
        True ones; 1 for the type I error.
    seed : int
    replicates : int
        Simulated trials each.
    probability : float
    ratio : LogRatioPrior, optional
    executor : concurrent.futures.Executor, optional
        The answer does not depend on it.
    progress : callable, optional
        Called with the numbers of blocks of trials done and in all.

    Returns
    -------
    pandas.DataFrame
        Columns method, drift, hazard_ratio, success and its Monte Carlo error ``mcse``, and of the posterior mean of
        the log hazard ratio ``bias``, ``bias_mcse``, ``rmse`` and ``rmse_mcse``.

    Raises
    ------
    SpecificationError
        When a number is out of range, or a method is on another number of intervals.
    """
    import pandas as pd

    if not 0 < probability < 1:
        raise SpecificationError(f"probability must be above 0 and below 1; got {probability}")
    scenarios = over_scenarios(
        _final_analyses, methods, design, drifts=drifts, hazard_ratios=hazard_ratios, seed=seed,
        replicates=replicates, arguments=(probability, ratio), executor=executor, progress=progress,
    )  # fmt: skip
    found = []
    for drift, hazard_ratio, sums in scenarios:
        for name, (count, *powers) in sums.items():
            success, mcse = share(count, replicates)
            bias, square, fourth = (float(total) / replicates for total in powers)
            rmse = np.sqrt(square)
            found.append({"method": name, "drift": drift, "hazard_ratio": hazard_ratio, "success": success,
                          "mcse": mcse, "bias": bias, "bias_mcse": np.sqrt((square - bias**2) / replicates),
                          "rmse": rmse, "rmse_mcse": np.sqrt((fourth - square**2) / replicates) / (2 * rmse)})
    return pd.DataFrame(found)


def _final_analyses(
    block: Block, methods: Methods, probability: float, ratio: LogRatioPrior | None
) -> dict[str, np.ndarray]:
    """Successes, and sums of the first, second and fourth power of the error of the log hazard ratio."""
    trials = block.trials()
    counts = trials.counts(trials.date(block.design.final))
    found = {}
    for name, method in methods.items():
        posterior = ratio_posterior(method, *counts, ratio)
        error = posterior.mean - np.log(block.hazard_ratio)
        found[name] = np.array([(posterior.below() > probability).sum(), *((error**k).sum() for k in (1, 2, 4))])
    return found
