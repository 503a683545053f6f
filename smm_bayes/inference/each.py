"""One model fitted to several equally likely data sets, and the draws pooled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.compiled import compile_model
from smm_bayes.inference.convergence import diagnose_parts
from smm_bayes.inference.fingerprint import hash_arrays
from smm_bayes.inference.sampling import (
    Attempt,
    Fit,
    FitProgress,
    Run,
    check_settings,
    count_divergences,
    fingerprint_of,
    fit,
    gather,
    next_attempt,
)

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

PART_CHAINS = 2  # of each data set


def fit_each(
    model: pm.Model,
    data: Sequence[Mapping[str, np.ndarray]],
    *,
    seed: int,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = 0.95,
    attempts: int = 3,
    progress: Callable[[FitProgress], None] | None = None,
) -> Fit:
    """Sample the posterior under each of several data sets that are equally likely, and pool the draws.

    This is how an uncertain reconstruction of earlier patients is carried into the posterior: the pooled draws are
    those of the mixture, as after multiple imputation. Each data set gets two chains of its own, of at least 250 draws
    and together not fewer than one fit would have. Convergence is judged over all of them at once, by ranks within each
    data set, because what differs between data sets is no failure to converge; and within each data set for a chain
    that went astray (:func:`~smm_bayes.inference.convergence.diagnose_parts`).

    Parameters
    ----------
    model : pymc.Model
    data : sequence of mapping of str to array
        One data set's values each, as :func:`fit` takes them. One alone is :func:`fit`.
    seed, draws, tune, chains, cores, target_accept, attempts, progress
        As in :func:`fit`; ``draws`` and ``chains`` are those of one data set alone.

    Returns
    -------
    Fit
        With two chains a data set; log densities are those under each chain's own data, the observed and
        constant data those of the last data set.

    Raises
    ------
    SpecificationError
        When there is no data set, when one does not fit the model, or settings are out of range.
    """
    if not data:
        raise SpecificationError("fit_each needs at least one data set")
    if len(data) == 1:
        return fit(model, seed=seed, data=data[0], draws=draws, tune=tune, chains=chains, cores=cores,
                   target_accept=target_accept, attempts=attempts, progress=progress)  # fmt: skip
    check_settings(draws, tune, chains, attempts, target_accept)
    started = time.perf_counter()
    compiled = compile_model(model)
    seconds = {"compile": time.perf_counter() - started}
    started = time.perf_counter()
    workers, part_draws = cores or os.cpu_count() or 1, max(250, -(-draws * chains // (PART_CHAINS * len(data))))

    def begin(index: int, number: int) -> Run:
        attempt = next_attempt(number, target_accept, tune, part_draws)
        return Run.start(compiled.with_data(data[index]), attempt, seed=seed + 7919 * index + number,
                         chains=PART_CHAINS, cores=workers, number=number + 1, told=progress is not None)  # fmt: skip

    for first in range(attempts):
        parts: list[xr.DataTree] = []
        used: list[tuple[Attempt, str]] = []
        complete = True
        ahead: Run | None = None
        try:
            for index, values in enumerate(data):
                running, told = ahead or begin(index, first), _tell_part(progress, index, len(data))
                # the next is sampled while this one's draws are put in order
                ahead = begin(index + 1, first) if workers > 1 and index + 1 < len(data) else None
                for number in range(first, attempts):  # a part that diverges is repeated alone
                    trace, complete = (running if number == first else begin(index, number)).finish(told)
                    if not complete or not count_divergences(trace):
                        break
                if not complete and parts:
                    break  # what is done stays whole: a part just begun would cut the others to its length
                compiled.with_data(values)
                parts.append(gather(compiled, trace, complete))
                attempt = next_attempt(number, target_accept, tune, part_draws)
                used.append((attempt, fingerprint_of(compiled, [attempt], seed, PART_CHAINS)))
                if not complete:
                    break
        finally:
            if ahead is not None and len(parts) < len(data):  # nobody will ask for its draws
                ahead.sampler.cancel()
        divergences = sum(count_divergences(part) for part in parts)
        posteriors = [part["posterior"].dataset for part in parts]
        shortest = min(posterior.sizes["draw"] for posterior in posteriors)
        posteriors = [_thin(posterior, shortest) for posterior in posteriors]
        convergence = diagnose_parts(posteriors, divergences, complete=complete)
        if convergence.passed or not complete:
            break
    seconds["sample"] = time.perf_counter() - started
    return Fit(
        data=_pool(parts),
        convergence=convergence,
        attempts=tuple(sorted({attempt for attempt, _ in used}, key=lambda attempt: attempt.draws)),
        seed=seed,
        fingerprint=hash_arrays({}, [said for _, said in used]),
        seconds=seconds,
    )


def _tell_part(
    progress: Callable[[FitProgress], None] | None, index: int, parts: int
) -> Callable[[FitProgress], None] | None:
    """Tell of one part's progress as that of the whole."""
    if progress is None:
        return None
    return lambda state: progress(
        FitProgress(state.finished + index * state.total, state.total * parts, state.divergences, state.attempt)
    )


def _pool(parts: list[xr.DataTree]) -> xr.DataTree:
    """Join the chains of several fits of one model, of as many draws each as the shortest has."""
    import xarray as xr

    groups: dict[str, xr.Dataset] = {}
    for name in parts[-1].children:
        datasets = [part[name].dataset for part in parts]
        shortest = min(dataset.sizes.get("draw", 1) for dataset in datasets)
        datasets = [_thin(dataset, shortest) for dataset in datasets]
        if "chain" not in datasets[0].dims:
            groups[name] = datasets[-1]
            continue
        joined = xr.concat(datasets, dim="chain", data_vars="all", coords="minimal", compat="override", join="override")
        groups[name] = joined.assign_coords(chain=np.arange(joined.sizes["chain"]))
    return xr.DataTree.from_dict(groups)


def _thin(dataset: xr.Dataset, draws: int) -> xr.Dataset:
    """Keep so many draws of every chain, evenly spaced."""
    if dataset.sizes.get("draw", draws) == draws:
        return dataset
    if not draws:
        return dataset.isel(draw=slice(0, 0))
    kept = dataset.isel(draw=slice(None, None, dataset.sizes["draw"] // draws)).isel(draw=slice(0, draws))
    return kept.assign_coords(draw=np.arange(draws))
