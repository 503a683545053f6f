"""One replicate of a model's calibration: a truth from the prior, patients simulated from it, the fit, the ranks."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.analysis.hazards import HazardModel
from smm_bayes.analysis.interim import InterimInputs
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.calibration import rank_of
from smm_bayes.inference.densities import Densities
from smm_bayes.inference.fingerprint import versions
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.piecewise import PiecewiseExponential

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from smm_bayes.inference.sampling import Fit

SEED, RANKED = 20261121, 99
SHORT: dict[str, Any] = {"draws": 500, "tune": 400, "chains": 2}
AGAIN: dict[str, Any] = {"draws": 1000, "tune": 1000, "chains": 2, "target_accept": 0.99}
ASTRAY = 1.05  # R-hat of a short fit that is done again

SUMMARIES = ("level", "log_hazard_ratio", "smoothness", "ratio_smoothness", "log_half_life", "between_hazard",
             "between_effect", "log_contrast", "endpoint_offset")  # fmt: skip
COUNTED = ("again", "failed")  # in every row beside the ranks


def simulate_table(inputs: InterimInputs, log_hazard: np.ndarray, *, rng: np.random.Generator) -> EventTable:
    """Simulate the interim's patients from hazards (arm, cause, interval), with their enrolment and data cut."""
    patients, grid = inputs.patients, inputs.spec.grid
    if patients.enrolled is None or patients.data_cutoff is None:
        raise SpecificationError("a calibration needs the patients' enrolment dates; give STARTDT")
    of_patient = log_hazard[patients.arm]  # (patient, cause, interval)
    time = PiecewiseExponential(np.logaddexp.reduce(of_patient, axis=1), grid).sample(rng=rng)
    there = np.exp(np.take_along_axis(of_patient, grid.index(time)[:, None, None], axis=2)[..., 0])
    share = np.cumsum(there, axis=1) / there.sum(axis=1, keepdims=True)
    cause = (rng.random((len(patients), 1)) > share).sum(axis=1)
    follow_up = patients.data_cutoff - patients.enrolled
    event = time <= follow_up
    return grid.tabulate(patients.take(
        np.ones(len(patients), bool), time=np.minimum(time, follow_up), event=event,
        cause=np.where(event, cause, -1), censoring=np.where(event, "", "administrative").astype(object), mrd=None,
    ))  # fmt: skip


def rank_one(inputs: InterimInputs, model: pm.Model, replicate: int) -> dict[str, int]:
    """Draw a truth from the prior, simulate, refit, and rank the truth among the posterior draws.

    As in an analysis, a fit with divergences or an R-hat above 1.05 is done again, longer and with a higher target
    acceptance; its ranks count then, whether or not it is better.
    """
    rng = np.random.default_rng([SEED, replicate])
    truth, drawn = _simulated(inputs, rng)
    fitted, again = _fit(model, drawn.data()[0], int(rng.integers(2**31)))
    posterior = fitted.posterior
    size = posterior.sizes["chain"] * posterior.sizes["draw"]
    keep = np.linspace(0, size - 1, RANKED).round().astype(int)
    draws = {str(name): _first(values)[keep] for name, values in posterior.data_vars.items()}
    ranks: dict[str, int] = {}
    for name in [name for name in SUMMARIES if name in truth and name in draws]:
        labels = [posterior[name].coords[dim].values for dim in posterior[name].dims[2:]]
        for at in np.ndindex(truth[name].shape[1:]):
            label = ":".join(str(values[i]) for values, i in zip(labels, at, strict=True))
            ranks[f"{name}:{label}"] = rank_of(truth[name][(0, *at)], draws[name][(slice(None), *at)], rng=rng)
    for cell in ((0, 0, 0), (-1, -1, -1)):
        true = truth["log_hazard"][(0, *cell)]
        ranks[f"log_hazard:{cell}"] = rank_of(true, draws["log_hazard"][(slice(None), *cell)], rng=rng)
    estimands = _estimands(draws["log_hazard"], inputs)
    for name, true in _estimands(truth["log_hazard"], inputs).items():
        ranks[name] = rank_of(float(true[0]), estimands[name], rng=rng)
    ranks["log_likelihood"] = rank_of(float(drawn.log_likelihood(truth)[0]), drawn.log_likelihood(draws), rng=rng)
    return ranks | {"again": int(again), "failed": int(_poor(fitted))}


def _simulated(inputs: InterimInputs, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], HazardModel]:
    truth = inputs.model.prior(1, rng=rng)
    return truth, inputs.model.simulated(simulate_table(inputs, truth["log_hazard"][0], rng=rng), truth, rng=rng)


def _fit(model: pm.Model, data: dict[str, np.ndarray], seed: int) -> tuple[Fit, bool]:
    from smm_bayes.inference.sampling import fit

    found = fit(model, seed=seed, data=data, attempts=1, log_densities=False, **SHORT)
    if not _poor(found):
        return found, False
    return fit(model, seed=seed, data=data, attempts=1, log_densities=False, **AGAIN), True


def _poor(fitted: Fit) -> bool:
    return not fitted.convergence.max_rhat <= ASTRAY or fitted.convergence.divergences > 0


def _estimands(log_hazard: np.ndarray, inputs: InterimInputs) -> dict[str, np.ndarray]:
    """Survival and restricted mean at the last cut, by arm, from log hazards (draw, arm, cause, interval)."""
    grid, arms = inputs.spec.grid, inputs.patients.arms
    horizon = grid.cuts[-1] if grid.cuts else 12.0
    law = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=2), grid)
    survival, mean = law.survival(horizon)[..., 0], law.rmst(horizon)
    found = {f"survival:{arm}": survival[:, index] for index, arm in enumerate(arms)}
    found |= {f"rmst:{arm}": mean[:, index] for index, arm in enumerate(arms)}
    return found | ({"rmst_difference": mean[:, 1] - mean[:, 0]} if len(arms) > 1 else {})


def _first(values: xr.DataArray) -> np.ndarray:
    """Give draws of all chains as the first axis."""
    array = values.transpose("chain", "draw", ...).values
    return array.reshape(-1, *array.shape[2:])


def design_hash(inputs: InterimInputs) -> str:
    """Hash of everything a calibration depends on: model, priors, simulator, sampler, design and settings.

    Model, priors and simulator count by what they do: the densities of the PyMC model at fixed points under the data of
    the interim and of simulated trials, draws from the prior, and those trials, to six digits. Code may be
    rewritten as long as it computes the same. The sampler's settings and the ranking count by their syntax tree
    without docstrings and comments, the libraries by version.
    """
    from smm_bayes.inference import compiled, sampling

    digest = hashlib.sha256()
    for source in (sys.modules[__name__], compiled._packed, compiled.CompiledModel.with_data, sampling.next_attempt,
                   sampling.Run.start):  # fmt: skip
        digest.update(_code(inspect.getsource(source)).encode())
    digest.update(repr((SEED, RANKED, sorted(versions("pymc", "nutpie").items()))).encode())
    rng = np.random.default_rng(SEED)
    for name, values in sorted(inputs.model.prior(20, rng=rng).items()):
        digest.update(f"{name}{values.shape}{_digits(values)}".encode())
    simulated = [_simulated(inputs, np.random.default_rng([SEED, replicate]))[1] for replicate in range(3)]
    data = [inputs.model.data()[0], *(drawn.data()[0] for drawn in simulated)]
    for density in _densities(data, inputs.model.build()):
        digest.update(_digits(density).encode())
    return digest.hexdigest()


def _densities(data: list[dict[str, np.ndarray]], model: pm.Model) -> Iterator[np.ndarray]:
    """Log density of every variable at draws from the model's own prior, under each data set."""
    import pymc as pm

    densities, free = Densities(model), model.free_RVs
    drawn = pm.draw(free, draws=4, random_seed=SEED, mode="FAST_COMPILE")
    points = {variable.name: values for variable, values in zip(free, drawn, strict=True)}
    for arrays in data:
        for name, values in arrays.items():
            model.set_data(name, values)
        for term in densities(points).values():
            yield term.reshape(len(term), -1).sum(axis=1)


def _digits(values: np.ndarray) -> str:
    return " ".join(f"{value:.6g}" for value in np.ravel(values))


def _code(source: str) -> str:
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        match getattr(node, "body", None):
            case [ast.Expr(value=ast.Constant()) as docstring, *_]:
                docstring.value = ast.Constant("")
    return ast.dump(tree)
