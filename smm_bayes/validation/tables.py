"""Stored tables of what every method of borrowing does in one generic setting.

``python -m smm_bayes.validation.tables models/variants`` writes ``borrowing_pull.csv``, ``borrowing_errors.csv`` and
``borrowing_stopping.csv`` there. An earlier trial had 100 control events, as many in each of four intervals. The
current one has 40 control and 80 experimental patients, enrolled over 18 months, an interim analysis at 25 and the
final one at 60 events. Its control hazards are the earlier ones times a drift. Rules: the final analysis succeeds when
the probability that the hazard ratio is below 1 exceeds 0.975; the trial stops for futility at the interim when the
probability that a one-sided log-rank test at 0.05 succeeds is below 0.1. Before any data the control hazard is vague
(95 % of median times between 0.4 and 900 months): with a prior within five-fold, even the rule without borrowing would
lean on it, and its type I error fall from 0.040 to 0.012 as the drift goes from 0.5 to 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing import ArmHistory, BetweenTrials, smooth_initial
from smm_bayes.borrowing.trials.latent_quadrature import latent_hazard_prior
from smm_bayes.design.drift import NONE, conflict_table, operating_characteristics
from smm_bayes.design.methods import Method, methods_for
from smm_bayes.design.stopping import stopping_errors
from smm_bayes.design.two_arm import TwoArmDesign
from smm_bayes.priors.clinical import BaselinePrior
from smm_bayes.priors.mixtures import MultivariateNormalMixture
from smm_bayes.survival.grid import TimeGrid

if TYPE_CHECKING:
    import pandas as pd

GRID = TimeGrid((6.0, 12.0, 24.0))
HAZARD = np.array([0.05, 0.045, 0.04, 0.035])  # a month, where history is
EARLIER_EVENTS = 25.0  # an interval
BASELINE = BaselinePrior(18.0, 900.0)
INITIAL = smooth_initial(BASELINE, 0.4, GRID)
LATENT, IN_ONE = "latent exchangeability", " (one interval)"
DRIFTS = (0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0)
HAZARD_RATIOS = (1.0, 0.5)
CURRENT_EVENTS = (8.0, 15.0, 30.0, 60.0, 100.0)
REPLICATES, SEED = 10_000, 20_260
DIGITS = 6  # significant ones that are stored
PULL, ERRORS, STOPPING = "borrowing_pull.csv", "borrowing_errors.csv", "borrowing_stopping.csv"


def setting() -> tuple[dict[str, Method], TwoArmDesign]:
    """Methods and design of the tables."""
    events = np.full((1, len(GRID)), EARLIER_EVENTS)
    history = ArmHistory(GRID, ("earlier",), events, events / HAZARD)
    methods = methods_for(history, INITIAL, BetweenTrials())
    return methods, TwoArmDesign(GRID, np.log(HAZARD), 40, 80, 18.0, 25, 60)


def one_interval() -> tuple[dict[str, Method], TwoArmDesign]:
    """Latent exchangeability, for which there is an engine without sampling in one interval only, and no borrowing.

    The earlier patients are 100 with events at the quantiles of their distribution.
    """
    grid, hazard, size = TimeGrid(), float(HAZARD.mean()), 4 * int(EARLIER_EVENTS)
    time = -np.log1p(-(np.arange(size) + 0.5) / size) / hazard
    prior = latent_hazard_prior(time, np.ones(size), BASELINE)
    latent = MultivariateNormalMixture(prior.weights, prior.parameters["mean"][:, None],
                                       prior.parameters["sd"][:, None, None] ** 2, grid.labels)  # fmt: skip
    alone = MultivariateNormalMixture([1.0], [[BASELINE.mean]], [[[BASELINE.sd**2]]], grid.labels)
    methods = {NONE: Method(alone), LATENT: Method(latent)}
    return methods, TwoArmDesign(grid, np.log([hazard]), 40, 80, 18.0, 25, 60)


def _with_one_interval(table: pd.DataFrame, one: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([table, one.assign(method=one["method"] + IN_ONE)], ignore_index=True)


def pull_table() -> pd.DataFrame:
    """Pull towards history in three-fold conflict and events gained in agreement, without simulation."""
    tables = [conflict_table(methods, design.log_hazard, CURRENT_EVENTS) for methods, design in
              (setting(), one_interval())]  # fmt: skip
    return _with_one_interval(*tables)


def errors_table(
    replicates: int = REPLICATES, *, drifts: Sequence[float] = DRIFTS, hazard_ratios: Sequence[float] = HAZARD_RATIOS,
    executor: Executor | None = None, progress: Callable[[int, int], None] | None = None, seed: int = SEED,
) -> pd.DataFrame:  # fmt: skip
    """Type I error and power; see :func:`~smm_bayes.design.operating_characteristics`."""
    tables = [operating_characteristics(*given, drifts=drifts, hazard_ratios=hazard_ratios, seed=seed,
                                        replicates=replicates, executor=executor, progress=progress)
              for given in (setting(), one_interval())]  # fmt: skip
    return _with_one_interval(*tables)


def stopping_table(
    replicates: int = REPLICATES, *, drifts: Sequence[float] = DRIFTS, hazard_ratios: Sequence[float] = HAZARD_RATIOS,
    executor: Executor | None = None, progress: Callable[[int, int], None] | None = None, seed: int = SEED,
) -> pd.DataFrame:  # fmt: skip
    """Errors of stopping for futility; see :func:`~smm_bayes.design.stopping_errors`."""
    tables = [stopping_errors(*given, drifts=drifts, hazard_ratios=hazard_ratios, seed=seed,
                              replicates=replicates, executor=executor, progress=progress)
              for given in (setting(), one_interval())]  # fmt: skip
    return _with_one_interval(*tables)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table under a temporary name, and then move it."""
    temporary = path.with_suffix(".tmp")
    table.to_csv(temporary, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")
    os.replace(temporary, path)


def main(out: Path, *, replicates: int = REPLICATES, workers: int | None = None) -> None:
    """Make all tables, in as many processes as there are cores unless told."""
    out.mkdir(parents=True, exist_ok=True)
    write(pull_table(), out / PULL)
    with ProcessPoolExecutor(workers) as executor:
        for name, make in ((ERRORS, errors_table), (STOPPING, stopping_table)):

            def say(done: int, size: int, name: str = name) -> None:
                if done % 20 == 0 or done == size:
                    print(f"{name}: {done} of {size} blocks", flush=True)

            write(make(replicates, executor=executor, progress=say), out / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
