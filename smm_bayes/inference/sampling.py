"""The one ``fit()``: everything in this package that samples a posterior samples it here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.inference.cells import CELLS, has_cells
from smm_bayes.inference.compiled import CompiledModel, compile_model
from smm_bayes.inference.convergence import diagnose
from smm_bayes.inference.fingerprint import hash_arrays, machine, versions
from smm_bayes.inference.fitted import BY_PATIENT, Attempt, Fit, joined
from smm_bayes.inference.model import Model
from smm_bayes.progress import live

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Attempt", "Fit", "FitProgress", "Run", "Told", "fit", "gather", "next_attempt", "whole_draws"]

KEPT_STATS = ("diverging", "energy", "logp", "n_steps", "depth", "step_size", "mean_tree_accept", "maxdepth_reached")
MOST_DRAWS, MOST_CHAINS, MOST_ATTEMPTS = 1_000_000, 100, 10  # more is a slip of the hand


@dataclass(frozen=True)
class FitProgress:
    """How far sampling is: draws done and wanted over all chains, divergences so far, number of the attempt."""

    finished: int
    total: int
    divergences: int
    attempt: int

    def __str__(self) -> str:
        again = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"sampling the posterior{again} · {self.divergences} divergences"


type Told = Callable[[FitProgress], None] | bool | None


def fit(
    model: Model | pm.Model,
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
    progress: Told = None,
) -> Fit:
    """Sample the posterior of a model with nutpie's NUTS.

    A model is compiled the first time and kept for the session: the same ``pm.Model`` with other ``data``, and any
    value that computes the same with data of the same shape, only samples. An attempt that does not converge is
    repeated with a higher target acceptance and twice the draws.

    Parameters
    ----------
    model : Model or pymc.Model
        A value with its data and priors, such as :class:`~smm_bayes.survival.one_trial.OneTrial`; where it has several
        equally likely data sets each is fitted (:func:`~smm_bayes.inference.each.fit_each`). Or a model of your own.
    seed : int
        The same seed gives the same draws, to the last bit, on one kind of machine: whatever the number of cores, in
        the first run and in any later one.
    data : mapping of str to array, optional
        New values for the data of a ``pm.Model``, checked for name, shape, finiteness and range. The model keeps
        them. A value brings its own.
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
        Whether to add ``log_prior``, ``log_likelihood`` (by patient, of a value that has its patients) and
        ``posterior_predictive``.
    progress : callable or bool, optional
        Called a few times a second with :class:`FitProgress`. By default a bar is shown where somebody looks, on a
        terminal or in a notebook; False shows nothing.

    Returns
    -------
    Fit
        Interrupted by Ctrl-C it holds the draws so far, of chains equally long, and is marked incomplete: it then does
        not pass.

    Raises
    ------
    SpecificationError
        When ``data`` does not fit the model or a value is given some, or settings are out of range.

    References
    ----------
    Hoffman MD, Gelman A. JMLR 2014;15:1593-1623. Seyboldt A, Carlson E, Carpenter B. Preconditioning Hamiltonian
    Monte Carlo by minimizing Fisher divergence, 2026, arXiv:2603.18845.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> model = smm.OneTrial.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50))
    >>> posterior = smm.fit(model, seed=1)  # doctest: +SKIP
    >>> smm.fit(model, seed=1, draws=2)
    Traceback (most recent call last):
        ...
    smm_bayes.errors.SpecificationError: settings of the sampler: 1 problem: draws must be a whole number from 4 ...
    """
    check_settings(draws, tune, chains, attempts, target_accept)
    if isinstance(model, Model):
        from smm_bayes.inference.values import fit_value

        if data is not None:
            raise SpecificationError("a model value brings its own data; make a value of the others (Fit.with_data)")
        return fit_value(model, seed=seed, draws=draws, tune=tune, chains=chains, cores=cores, attempts=attempts,
                         target_accept=target_accept, log_densities=log_densities, progress=progress)  # fmt: skip
    with telling(progress) as tell:
        started = time.perf_counter()
        compiled = compile_model(model)
        ready = compiled.with_data(data or {})
        seconds = {"compile": time.perf_counter() - started}
        started = time.perf_counter()
        tried: list[Attempt] = []
        for number in range(attempts):
            tried.append(next_attempt(number, target_accept, tune, draws))
            run = Run.start(ready, tried[-1], seed=seed + number, chains=chains, cores=cores or os.cpu_count() or 1,
                            number=number + 1, told=tell is not None)  # fmt: skip
            trace, complete = run.finish(tell)
            convergence = diagnose(trace["posterior"].dataset, count_divergences(trace), complete=complete)
            if convergence.passed or not complete:
                break
        seconds["sample"] = time.perf_counter() - started
    return Fit(
        data=gather(compiled, trace, log_densities and complete),
        convergence=convergence,
        attempts=tuple(tried),
        seed=seed,
        fingerprint=fingerprint_of(compiled, tried, seed, chains),
        seconds=seconds,
    )


@contextmanager
def telling(progress: Told) -> Iterator[Callable[[FitProgress], None] | None]:
    """Tell of progress as asked: to a caller that asks, by a bar, or not at all."""
    if progress is not None and not isinstance(progress, bool):
        yield progress
        return
    if progress is False:
        yield None
        return
    with live() as show:
        if show is None:
            yield None
            return
        show(0, None, "compiling the model")
        yield lambda state: show(state.finished, state.total, str(state))


def check_settings(draws: int, tune: int, chains: int, attempts: int, target_accept: float) -> None:
    """Refuse settings out of range, and those that no computer would ever finish."""
    with Problems("settings of the sampler", SpecificationError).collecting() as problems:
        ranges = (("draws", draws, 4, MOST_DRAWS), ("tune", tune, 1, MOST_DRAWS), ("chains", chains, 1, MOST_CHAINS),
                  ("attempts", attempts, 1, MOST_ATTEMPTS))  # fmt: skip
        for name, value, least, most in ranges:
            if isinstance(value, bool) or not least <= value <= most or value != int(value):
                problems.add(f"{name} must be a whole number from {least} to {most:,}; got {value}")
        if not 0 < target_accept < 1:
            problems.add(f"target_accept must be above 0 and below 1; got {target_accept}")


def next_attempt(number: int, target_accept: float, tune: int, draws: int) -> Attempt:
    """Settings of attempt ``number``, from 0."""
    accept = target_accept if number == 0 else max(1 - 10.0 ** -(number + 1), target_accept)
    return Attempt(accept, tune * 2**number, draws * 2**number)


def count_divergences(trace: Any) -> int:
    """Divergent transitions of all chains."""
    return int(trace["sample_stats"]["diverging"].sum()) if "sample_stats" in trace else 0


@dataclass(eq=False)
class Run:
    """Chains being sampled in the background, so that Ctrl-C is seen: a blocking call would swallow it.

    Attributes
    ----------
    sampler : nutpie sampler
    total : int
        Draws and tuning over all chains.
    number : int
        Of the attempt.
    latest : list
        State of every chain as last told.
    """

    sampler: Any
    total: int
    number: int
    latest: list[Any]

    @classmethod
    def start(cls, ready: Any, attempt: Attempt, *, seed: int, chains: int, cores: int, number: int, told: bool) -> Run:
        """Start chains of a compiled model that has its data; ``told`` where progress will be asked for."""
        import nutpie

        latest: list[Any] = []

        def remember(state: list[Any]) -> None:
            latest[:] = state

        sampler = nutpie.sample(
            ready, draws=attempt.draws, tune=attempt.tune, chains=chains, cores=cores, seed=seed, save_warmup=False,
            target_accept=attempt.target_accept, progress_bar=False, blocking=False, progress_rate=100,
            progress_callback=remember if told else None,
        )  # fmt: skip
        return cls(sampler, chains * (attempt.tune + attempt.draws), number, latest)

    def finish(self, progress: Callable[[FitProgress], None] | None) -> tuple[Any, bool]:
        """Wait for the trace, telling progress; the whole draws so far and False where Ctrl-C was pressed."""
        try:
            trace = None
            while trace is None:
                try:
                    trace = self.sampler.wait(timeout=0.1)
                except TimeoutError:
                    if progress and self.latest:
                        done = sum(chain.finished_draws for chain in self.latest)
                        diverged = sum(chain.divergences for chain in self.latest)
                        progress(FitProgress(done, self.total, diverged, self.number))
        except KeyboardInterrupt:
            return whole_draws(self.sampler.abort()), False
        if progress:
            diverged = int(trace["sample_stats"]["diverging"].sum())
            progress(FitProgress(self.total, self.total, diverged, self.number))
        return trace, True


def whole_draws(trace: Any) -> Any:
    """Keep what an interrupted sampler finished, without what fills chains of different length up.

    As many of the longest chains are kept as give the most draws, cut to the shortest of them: a chain that has just
    begun does not cost those that are done.
    """
    done = np.isfinite(trace["sample_stats"]["energy"].transpose("chain", "draw").values).sum(axis=1)
    longest = np.sort(done)[::-1]
    draws = int(longest[np.argmax(longest * np.arange(1, len(done) + 1))])
    chains = np.flatnonzero((done > 0) & (done >= draws))
    return trace.isel(chain=chains, draw=slice(draws), missing_dims="ignore")


def gather(compiled: CompiledModel, trace: Any, log_densities: bool) -> xr.DataTree:
    """Put the groups of a fit together, with the data the model holds now."""
    posterior = trace["posterior"].dataset
    groups = {"posterior": posterior}
    if "sample_stats" in trace:
        stats = trace["sample_stats"].dataset
        groups["sample_stats"] = stats[[name for name in KEPT_STATS if name in stats]].rename(
            {"logp": "lp"} if "logp" in stats else {}
        )
    groups.update(compiled.data_groups())
    if log_densities:
        found = compiled.log_densities(posterior)
        if has_cells(compiled.model) and BY_PATIENT in found:
            found[CELLS] = found.pop(BY_PATIENT)
        groups.update(found)
    for group in groups.values():
        group.attrs = {key: value for key, value in group.attrs.items() if key != "created_at"}
    return joined(groups)


def fingerprint_of(compiled: CompiledModel, tried: list[Attempt], seed: int, chains: int) -> str:
    """Hash of the model, its priors and data, settings, seed, versions and kind of machine."""
    packages = versions("pymc", "nutpie", "pytensor", "numba", "numpy")
    return hash_arrays(compiled.current_data(), compiled.hash, tried, seed, chains, sorted(packages.items()), machine())
