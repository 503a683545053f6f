"""Calibration of the regression across trials: ranks of simulated truths, and stored coverage of its intervals.

``python -m smm_bayes.validation.coverage models/variants`` writes ``surrogacy_coverage.csv`` there. Trials have
standard errors of 0.15 to 0.35 of the log odds ratio and 0.12 to 0.25 of the log hazard ratio, log-uniform, with a
known correlation of -0.3. The truth is from the priors (``r_squared`` empty), or from the priors given a true R
squared. Over the priors every interval of the model that simulates, the bivariate one, has its level; given an R
squared it need not, for any method: its posterior averages over R squared. The Daniels-Hughes form has no
distribution of effects on negativity: here, where errors are not small beside their spread, it draws slopes towards 0,
so that intervals of the slope cover too seldom, while predictions from an estimated odds ratio hold. Ignoring the
errors of odds ratios, or the residual SD, is wrong, and shown as such.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.execution import run_chunks
from smm_bayes.inference.calibration import rank_of
from smm_bayes.priors.spread import Fixed
from smm_bayes.surrogacy.across.pairs import TrialPairs
from smm_bayes.surrogacy.across.posterior import BIVARIATE, DANIELS_HUGHES, AcrossTrials
from smm_bayes.surrogacy.across.priors import AcrossPriors
from smm_bayes.surrogacy.across.summary import r_squared, thresholds

if TYPE_CHECKING:
    import pandas as pd

NO_ERRORS, NO_RESIDUAL = "errors of odds ratios ignored", "residual SD ignored"
METHODS = (BIVARIATE, DANIELS_HUGHES, NO_ERRORS, NO_RESIDUAL)
QUANTITIES = ("slope", "intercept", "residual_sd", "r_squared", "threshold", "prediction")
DRAWS = 399  # ranks are 0 to 399, so that intervals of 80 and 95 % hold 320 and 380 of 400 exactly
LEVELS = (0.8, 0.95)
CORRELATION = -0.3
ODDS_SE, HAZARD_SE = (0.15, 0.35), (0.12, 0.25)
R_SQUARED, TRIALS = (None, 0.2, 0.6, 0.9), (10, 20, 30)
REPLICATES, SEED, BLOCK, POOL = 600, 20_260, 50, 200_000
STORED = "surrogacy_coverage.csv"

type Truth = dict[str, np.ndarray]


def draw_truth(
    size: int, *, r_squared: float | None = None, priors: AcrossPriors | None = None, rng: np.random.Generator
) -> Truth:
    r"""Draw parameters from the priors, or from the priors given a true R squared.

    Given :math:`R^2 = r` the residual SD is :math:`\psi = |b|\tau\sqrt{(1 - r)/r}`, and (b, tau) have the density of
    their priors times :math:`p(\psi)\,|\partial\psi/\partial r| \propto p(\psi)\,|b|\tau`: draws are resampled with it.
    """
    priors = priors or AcrossPriors()
    if r_squared is None:
        return priors.sample(size, rng=rng)
    if not 0 < r_squared < 1:
        raise SpecificationError(f"a true R squared must be above 0 and below 1; found {r_squared}")
    pool = priors.sample(POOL, rng=rng)
    along = np.abs(pool["slope"]) * pool["spread"]
    pool["residual_sd"] = along * np.sqrt((1 - r_squared) / r_squared)
    weight = along * np.exp(priors.residual_sd.log_pdf(pool["residual_sd"]))
    chosen = rng.choice(POOL, size, p=weight / weight.sum())
    return {name: values[chosen] for name, values in pool.items()}


def simulate_pairs(truth: Truth, trials: int, *, rng: np.random.Generator) -> tuple[TrialPairs, np.ndarray]:
    """Simulate estimates of so many trials from one draw of the truth (arrays of length 1), and their own effects.

    Returns
    -------
    pairs : TrialPairs
    effects : numpy.ndarray, shape (2, trial)
        True log odds ratios and log hazard ratios.
    """
    first, second = (np.exp(rng.uniform(np.log(low), np.log(high), trials)) for low, high in (ODDS_SE, HAZARD_SE))
    odds = rng.normal(truth["mean"], truth["spread"], trials)
    hazard = rng.normal(truth["intercept"] + truth["slope"] * odds, truth["residual_sd"])
    z = rng.standard_normal((2, trials))
    error = second * (CORRELATION * z[0] + np.sqrt(1 - CORRELATION**2) * z[1])
    return TrialPairs.from_arrays(odds + first * z[0], first, hazard + error, second), np.stack([odds, hazard])


def analysis_of(method: str, pairs: TrialPairs, priors: AcrossPriors | None = None) -> AcrossTrials:
    """Analyse pairs by one of the methods that are compared."""
    priors = priors or AcrossPriors()
    if method == NO_ERRORS:
        tiny = np.full(len(pairs), 1e-6)
        exact = TrialPairs.from_arrays(pairs.log_odds_ratio, tiny, pairs.log_hazard_ratio, pairs.hazard_ratio_se)
        return AcrossTrials(exact, priors, 0.0, BIVARIATE)
    if method == NO_RESIDUAL:
        return AcrossTrials(pairs, replace(priors, residual_sd=Fixed(0.0)), CORRELATION, BIVARIATE)
    return AcrossTrials(pairs, priors, CORRELATION, method)


def ranks_of(
    method: str, truth: Truth, trials: int, *, priors: AcrossPriors | None = None, rng: np.random.Generator
) -> dict[str, int]:
    """Simulate trials and one more, and rank the truth among posterior draws (0 to :data:`DRAWS`), by quantity.

    The last quantity is the new trial's true log hazard ratio, predicted from its estimated log odds ratio.
    """
    every, effects = simulate_pairs(truth, trials + 1, rng=rng)
    new, pairs = every.items[-1], TrialPairs(every.items[:-1])
    posterior = analysis_of(method, pairs, priors)
    draws = posterior.draws(DRAWS, rng=rng)
    spread = draws.spread if posterior.is_bivariate else pairs.spread
    residual = draws.residual_sd
    found = {"slope": draws.slope, "intercept": draws.intercept, "residual_sd": residual,
             "r_squared": r_squared(draws.slope, spread, residual),
             "threshold": thresholds(draws.intercept, draws.slope, residual)}  # fmt: skip
    a, b, psi, tau = (truth[name] for name in ("intercept", "slope", "residual_sd", "spread"))
    true = {"slope": b, "intercept": a, "residual_sd": psi, "r_squared": r_squared(b, tau, psi),
            "threshold": thresholds(a, b, psi)}  # fmt: skip
    ranks = {name: rank_of(float(true[name][0]), found[name], rng=rng) for name in found}
    predicted = posterior.predict(new.log_odds_ratio, 0.0 if method == NO_ERRORS else new.odds_ratio_se)
    return ranks | {"prediction": min(int(float(predicted.cdf(effects[1, -1])) * (DRAWS + 1)), DRAWS)}


def ranks_block(
    method: str, share: float | None, trials: int, block: int, replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """Ranks of one block of replicates; every replicate has a stream of its own, the same for every method."""
    key = [seed, trials, 0 if share is None else round(1000 * share), block]
    truth = draw_truth(replicates, r_squared=share, rng=np.random.default_rng(key))
    rows = [ranks_of(method, {name: values[k : k + 1] for name, values in truth.items()}, trials,
                     rng=np.random.default_rng([*key, k])) for k in range(replicates)]  # fmt: skip
    return {name: np.array([row[name] for row in rows]) for name in QUANTITIES}


def simulated_ranks(
    method: str, share: float | None, trials: int, replicates: int, *, seed: int = SEED,
    executor: Executor | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Ranks of so many replicates, shape (replicate,) by quantity; in blocks, the same on any executor."""
    sizes = [min(BLOCK, replicates - start) for start in range(0, replicates, BLOCK)]
    chunks = [(method, share, trials, block, size, seed) for block, size in enumerate(sizes)]
    blocks = list(run_chunks(ranks_block, chunks, executor))
    return {name: np.concatenate([block[name] for block in blocks]) for name in QUANTITIES}


def covered(ranks: np.ndarray, level: float) -> np.ndarray:
    """Whether the truth is within the central interval of the draws, from its rank."""
    outside = round((1 - level) / 2 * (DRAWS + 1))
    return (ranks >= outside) & (ranks < DRAWS + 1 - outside)


def coverage_table(
    replicates: int = REPLICATES, *, methods: Sequence[str] = METHODS, shares: Sequence[float | None] = R_SQUARED,
    trials: Sequence[int] = TRIALS, seed: int = SEED, executor: Executor | None = None,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Coverage of central intervals, with its Monte Carlo error, by method, true R squared, trials and quantity.

    ``r_squared`` is empty where the truth is from the priors alone.
    """
    import pandas as pd

    rows = []
    for method in methods:
        for share in shares:
            for size in trials:
                ranks = simulated_ranks(method, share, size, replicates, seed=seed, executor=executor)
                for quantity in QUANTITIES:
                    for level in LEVELS:
                        rate = float(covered(ranks[quantity], level).mean())
                        error = float(np.sqrt(max(rate * (1 - rate), level * (1 - level)) / replicates))
                        rows.append([method, share, size, quantity, level, rate, error, replicates])
                if progress:
                    progress(f"{method}, R squared {share}, {size} trials")
    columns = ["method", "r_squared", "trials", "quantity", "level", "coverage", "mcse", "replicates"]
    return pd.DataFrame(rows, columns=columns)


def main(out: Path, *, replicates: int = REPLICATES, workers: int | None = None) -> None:
    """Make the stored table, in as many processes as there are cores unless told."""
    with ProcessPoolExecutor(workers) as executor:
        table = coverage_table(replicates, executor=executor, progress=lambda said: print(said, flush=True))
    out.mkdir(parents=True, exist_ok=True)
    temporary = (out / STORED).with_suffix(".tmp")
    table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    os.replace(temporary, out / STORED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
