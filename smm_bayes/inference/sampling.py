"""The one ``fit()``: everything in this package that samples a posterior samples it here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import ConvergenceError, SpecificationError
from smm_bayes.inference.compiled import CompiledModel, compile_model
from smm_bayes.inference.convergence import Convergence, diagnose, diagnose_parts
from smm_bayes.inference.fingerprint import hash_arrays, versions

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

KEPT_STATS = ("diverging", "energy", "logp", "n_steps", "depth", "step_size", "mean_tree_accept", "maxdepth_reached")
PART_CHAINS = 2  # of each of several data sets


@dataclass(frozen=True)
class Attempt:
    """Settings of one attempt at sampling."""

    target_accept: float
    tune: int
    draws: int


@dataclass(frozen=True)
class FitProgress:
    """How far sampling is: draws done and wanted over all chains, divergences so far, number of the attempt."""

    finished: int
    total: int
    divergences: int
    attempt: int


@dataclass(frozen=True, eq=False)
class Fit:
    """A posterior with its convergence report.

    Attributes
    ----------
    data : xarray.DataTree
        Groups ``posterior``, ``sample_stats``, ``observed_data``, ``constant_data``, ``log_likelihood`` and
        ``log_prior``: what ArviZ needs for checks, cross-validation and power scaling.
    convergence : Convergence
    attempts : tuple of Attempt
        The settings tried, the last being those of ``data``.
    seed : int
    fingerprint : str
        Hash of model data, settings, seed and versions; the same on every run.
    seconds : dict of str to float
        Time spent compiling and sampling.
    """

    data: xr.DataTree
    convergence: Convergence
    attempts: tuple[Attempt, ...]
    seed: int
    fingerprint: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def posterior(self) -> xr.Dataset:
        """Posterior draws (chain, draw, ...)."""
        return self.data["posterior"].dataset

    def require_convergence(self) -> Fit:
        """Return the fit itself, or refuse it.

        Raises
        ------
        ConvergenceError
            When the fit may not be used for a decision, saying why.
        """
        if not self.convergence.passed:
            tried = ", ".join(f"{a.draws} draws at target acceptance {a.target_accept}" for a in self.attempts)
            raise ConvergenceError(
                f"the fit is not fit for a decision: {'; '.join(self.convergence.reasons)}. Tried: {tried}. "
                "Look at the model and its priors before sampling longer."
            )
        return self

    def save(self, path: str | Path) -> None:
        """Write every group to one NetCDF file."""
        self.data.to_netcdf(path, engine="h5netcdf")

    def __repr__(self) -> str:
        sizes = self.posterior.sizes
        return f"Fit: {sizes['chain']} chains of {sizes['draw']} draws; {self.convergence}"


def fit(
    model: pm.Model,
    *,
    seed: int,
    data: Mapping[str, np.ndarray] | None = None,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = 0.95,
    attempts: int = 3,
    log_densities: bool = True,
    progress: Callable[[FitProgress], None] | None = None,
) -> Fit:
    """Sample the posterior of a PyMC model with nutpie's NUTS.

    The model is compiled the first time and kept; later calls, with other ``data`` of the same shape, only sample.
    An attempt that does not converge is repeated with a higher target acceptance and twice the draws.

    Parameters
    ----------
    model : pymc.Model
    seed : int
        The same seed gives the same draws, on one machine, whatever the number of cores.
    data : mapping of str to array, optional
        New values for the model's data, checked for name, shape, finiteness and range. The model keeps them.
    draws, tune : int
        Per chain, in the first attempt.
    chains : int
    cores : int, optional
        Chains sampled at a time; all cores by default.
    target_accept : float
        Of the first attempt.
    attempts : int
        At most this many.
    log_densities : bool
        Whether to add ``log_likelihood`` and ``log_prior``.
    progress : callable, optional
        Called a few times a second with :class:`FitProgress`.

    Returns
    -------
    Fit
        Interrupted by Ctrl-C it holds the draws so far and is marked incomplete; it then does not pass.

    Raises
    ------
    SpecificationError
        When ``data`` does not fit the model, or settings are out of range.

    References
    ----------
    Hoffman MD, Gelman A. JMLR 2014;15:1593-1623. Seyboldt A, Carlson E, Carpenter B. Preconditioning Hamiltonian
    Monte Carlo by minimizing Fisher divergence, 2026, arXiv:2603.18845.
    """
    _check(draws, tune, chains, attempts, target_accept)
    started = time.perf_counter()
    compiled = compile_model(model)
    ready = compiled.with_data(data or {})
    seconds = {"compile": time.perf_counter() - started}
    started = time.perf_counter()
    tried: list[Attempt] = []
    for number in range(attempts):
        tried.append(_attempt(number, target_accept, tune, draws))
        trace, complete = _sample(ready, tried[-1], seed + number, chains, cores or os.cpu_count() or 1,
                                  number + 1, progress)  # fmt: skip
        convergence = diagnose(trace["posterior"].dataset, _divergences(trace), complete=complete)
        if convergence.passed or not complete:
            break
    seconds["sample"] = time.perf_counter() - started
    return Fit(
        data=_gather(compiled, trace, log_densities and complete),
        convergence=convergence,
        attempts=tuple(tried),
        seed=seed,
        fingerprint=_fingerprint(compiled, tried, seed, chains),
        seconds=seconds,
    )


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
    _check(draws, tune, chains, attempts, target_accept)
    started = time.perf_counter()
    compiled = compile_model(model)
    seconds = {"compile": time.perf_counter() - started}
    started = time.perf_counter()
    workers, part_draws = cores or os.cpu_count() or 1, max(250, -(-draws * chains // (PART_CHAINS * len(data))))
    for first in range(attempts):
        parts, used, complete = [], [], True
        for index, values in enumerate(data):
            ready, told = compiled.with_data(values), _tell_part(progress, index, len(data))
            for number in range(first, attempts):  # a part that diverges is repeated alone
                attempt = _attempt(number, target_accept, tune, part_draws)
                trace, complete = _sample(ready, attempt, seed + 7919 * index + number, PART_CHAINS, workers,
                                          number + 1, told)  # fmt: skip
                if not complete or not _divergences(trace):
                    break
            parts.append(_gather(compiled, trace, complete))
            used.append((attempt, _fingerprint(compiled, [attempt], seed, PART_CHAINS)))
            if not complete:
                break
        divergences = sum(_divergences(part) for part in parts)
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


def _check(draws: int, tune: int, chains: int, attempts: int, target_accept: float) -> None:
    if draws < 4 or tune < 1 or chains < 1 or attempts < 1 or not 0 < target_accept < 1:
        raise SpecificationError("fit needs draws >= 4, tune, chains and attempts >= 1, and 0 < target_accept < 1")


def _attempt(number: int, target_accept: float, tune: int, draws: int) -> Attempt:
    accept = target_accept if number == 0 else max(1 - 10.0 ** -(number + 1), target_accept)
    return Attempt(accept, tune * 2**number, draws * 2**number)


def _divergences(trace: Any) -> int:
    return int(trace["sample_stats"]["diverging"].sum()) if "sample_stats" in trace else 0


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
    kept = dataset.isel(draw=slice(None, None, dataset.sizes["draw"] // draws)).isel(draw=slice(0, draws))
    return kept.assign_coords(draw=np.arange(draws))


def _sample(
    ready: Any,
    attempt: Attempt,
    seed: int,
    chains: int,
    cores: int,
    number: int,
    progress: Callable[[FitProgress], None] | None,
) -> tuple[Any, bool]:
    """Sample in the background, so that Ctrl-C is seen: a blocking call would swallow it."""
    import nutpie

    latest: list[Any] = []
    total = chains * (attempt.tune + attempt.draws)

    def remember(state: list[Any]) -> None:
        latest[:] = state

    sampler = nutpie.sample(
        ready, draws=attempt.draws, tune=attempt.tune, chains=chains, cores=cores, seed=seed, save_warmup=False,
        target_accept=attempt.target_accept, progress_bar=False, blocking=False, progress_rate=100,
        progress_callback=remember if progress else None,
    )  # fmt: skip
    try:
        trace = None
        while trace is None:
            try:
                trace = sampler.wait(timeout=0.1)
            except TimeoutError:
                if progress and latest:
                    done = sum(chain.finished_draws for chain in latest)
                    progress(FitProgress(done, total, sum(chain.divergences for chain in latest), number))
    except KeyboardInterrupt:
        return sampler.abort(), False
    if progress:
        progress(FitProgress(total, total, int(trace["sample_stats"]["diverging"].sum()), number))
    return trace, True


def _gather(compiled: CompiledModel, trace: Any, log_densities: bool) -> xr.DataTree:
    import xarray as xr

    posterior = trace["posterior"].dataset
    groups = {"posterior": posterior}
    if "sample_stats" in trace:
        stats = trace["sample_stats"].dataset
        groups["sample_stats"] = stats[[name for name in KEPT_STATS if name in stats]].rename(
            {"logp": "lp"} if "logp" in stats else {}
        )
    groups.update(compiled.data_groups())
    if log_densities:
        groups.update(compiled.log_densities(posterior))
    for group in groups.values():
        group.attrs = {key: value for key, value in group.attrs.items() if key != "created_at"}
    return xr.DataTree.from_dict(groups)


def _fingerprint(compiled: CompiledModel, tried: list[Attempt], seed: int, chains: int) -> str:
    model = compiled.model
    graph = sorted(f"{v.name}:{v.owner.op if v.owner else ''}" for v in [*model.free_RVs, *model.observed_RVs])
    return hash_arrays(compiled.current_data(), graph, tried[-1], seed, chains,
                       sorted(versions("pymc", "nutpie").items()))  # fmt: skip
