"""One model fitted to several equally likely data sets, and the draws pooled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.compiled import CompiledModel, compile_model
from smm_bayes.inference.convergence import Convergence, diagnose_parts
from smm_bayes.inference.fingerprint import hash_arrays
from smm_bayes.inference.sampling import (
    Attempt,
    Fit,
    FitProgress,
    Run,
    Told,
    check_settings,
    count_divergences,
    fingerprint_of,
    fit,
    gather,
    next_attempt,
    telling,
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
    progress: Told = None,
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
    part_draws = max(250, -(-draws * chains // (PART_CHAINS * len(data))))
    with telling(progress) as tell:
        started = time.perf_counter()
        compiled = compile_model(model)
        seconds = {"compile": time.perf_counter() - started}
        started = time.perf_counter()
        work = _Work(compiled, data, seed, attempts, partial(next_attempt, target_accept=target_accept, tune=tune,
                     draws=part_draws), cores or os.cpu_count() or 1, tell)  # fmt: skip
        for first in range(attempts):
            parts, used, complete = work.done(first)
            convergence = _judge(parts, complete)
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


@dataclass(eq=False)
class _Work:
    """Fits of one compiled model to data set after data set."""

    compiled: CompiledModel
    data: Sequence[Mapping[str, np.ndarray]]
    seed: int
    attempts: int
    settings: Callable[[int], Attempt]  # by number of the attempt
    workers: int
    tell: Callable[[FitProgress], None] | None

    def done(self, first: int) -> tuple[list[xr.DataTree], list[tuple[Attempt, str]], bool]:
        """Fit every data set from attempt ``first`` on: the parts, their settings and hashes, whether all are there."""
        parts: list[xr.DataTree] = []
        used: list[tuple[Attempt, str]] = []
        ahead: Run | None = None
        try:
            for index in range(len(self.data)):
                running = ahead or self._begin(index, first)
                # the next is sampled while this one's draws are put in order
                ahead = self._begin(index + 1, first) if self.workers > 1 and index + 1 < len(self.data) else None
                trace, complete, number = self._finish(running, index, first)
                if complete or not parts:  # what is done stays whole: a part just begun would cut it to its length
                    part, said = self._gather(trace, index, number, complete)
                    parts.append(part)
                    used.append(said)
                if not complete:
                    return parts, used, False
        except KeyboardInterrupt:  # between two parts
            if not parts:
                raise
            return parts[: len(used)], used, False
        finally:
            if ahead is not None and len(parts) < len(self.data):  # nobody will ask for its draws
                ahead.sampler.cancel()
        return parts, used, True

    def _begin(self, index: int, number: int) -> Run:
        return Run.start(self.compiled.with_data(self.data[index]), self.settings(number), cores=self.workers,
                         seed=self.seed + 7919 * index + number, chains=PART_CHAINS, number=number + 1,
                         told=self.tell is not None)  # fmt: skip

    def _finish(self, running: Run, index: int, first: int) -> tuple[Any, bool, int]:
        """Wait for a part, which is repeated alone while it diverges: its trace, whether it is whole, its attempt."""
        told = _tell_part(self.tell, index, len(self.data))
        for number in range(first, self.attempts):
            trace, complete = (running if number == first else self._begin(index, number)).finish(told)
            if not complete or not count_divergences(trace):
                break
        return trace, complete, number

    def _gather(
        self, trace: Any, index: int, number: int, complete: bool
    ) -> tuple[xr.DataTree, tuple[Attempt, str]]:
        """Put the groups of a part together, under its own data, with its settings and hash."""
        self.compiled.with_data(self.data[index])
        part, attempt = gather(self.compiled, trace, complete), self.settings(number)
        return part, (attempt, fingerprint_of(self.compiled, [attempt], self.seed, PART_CHAINS))


def _judge(parts: list[xr.DataTree], complete: bool) -> Convergence:
    posteriors = [part["posterior"].dataset for part in parts]
    shortest = min(posterior.sizes["draw"] for posterior in posteriors)
    divergences = sum(count_divergences(part) for part in parts)
    return diagnose_parts([_thin(posterior, shortest) for posterior in posteriors], divergences, complete=complete)


def data_sets(posterior: xr.Dataset) -> int:
    """Give the number of data sets that a posterior was pooled from: their chains follow each other."""
    return int(posterior.attrs.get("data_sets", 1))


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
        joined.attrs["data_sets"] = len(parts)
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
