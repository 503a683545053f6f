"""One replicate of a calibration: a truth from the prior, data simulated from it, the fit, the ranks."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.inference.calibration import rank_of
from smm_bayes.inference.densities import Densities
from smm_bayes.inference.fingerprint import versions
from smm_bayes.validation.designs.design import Design

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from smm_bayes.inference.sampling import Fit

SEED, RANKED = 20261121, 99
SHORT: dict[str, Any] = {"draws": 500, "tune": 400, "chains": 2}
AGAIN: dict[str, Any] = {"draws": 1000, "tune": 1000, "chains": 2, "target_accept": 0.99}
ASTRAY = 1.05  # R-hat of a short fit that is done again
COUNTED = ("again", "failed")  # in every row beside the ranks


def rank_one(design: Design, model: pm.Model, replicate: int) -> dict[str, int]:
    """Draw a truth from the prior, simulate, refit, and rank the truth among the posterior draws.

    As in an analysis, a fit with divergences or an R-hat above 1.05 is done again, longer and with a higher target
    acceptance; its ranks count then, whether or not it is better.
    """
    rng = np.random.default_rng([SEED, replicate])
    truth = design.prior(1, rng=rng)
    simulated = design.simulate(truth, rng=rng)
    fitted, again = _fit(model, simulated.data()[0], int(rng.integers(2**31)))
    size = fitted.posterior.sizes["chain"] * fitted.posterior.sizes["draw"]
    keep = np.linspace(0, size - 1, RANKED).round().astype(int)
    draws = {str(name): _first(values)[keep] for name, values in fitted.posterior.data_vars.items()}
    found = design.ranked(draws)
    ranks = {name: rank_of(float(true[0]), found[name], rng=rng)
             for name, true in design.ranked(truth).items() if name in found}  # fmt: skip
    true, theirs = (simulated.log_likelihood(parameters) for parameters in (truth, draws))
    ranks["log_likelihood"] = rank_of(float(true[0]), theirs, rng=rng)
    return ranks | {"again": int(again), "failed": int(_poor(fitted))}


def _fit(model: pm.Model, data: dict[str, np.ndarray], seed: int) -> tuple[Fit, bool]:
    from smm_bayes.inference.sampling import fit

    found = fit(model, seed=seed, data=data, attempts=1, log_densities=False, **SHORT)
    if not _poor(found):
        return found, False
    return fit(model, seed=seed, data=data, attempts=1, log_densities=False, **AGAIN), True


def _poor(fitted: Fit) -> bool:
    return not fitted.convergence.max_rhat <= ASTRAY or fitted.convergence.divergences > 0


def _first(values: xr.DataArray) -> np.ndarray:
    """Give draws of all chains as the first axis."""
    array = values.transpose("chain", "draw", ...).values
    return array.reshape(-1, *array.shape[2:])


def design_hash(design: Design) -> str:
    """Hash of everything a calibration depends on: model, priors, simulator, sampler, what is ranked, settings.

    Model, priors and simulator count by what they do: draws from the prior and what is ranked of them, and the
    densities of the PyMC model at draws from its own prior under data of simulated trials, to six digits. Code may be
    rewritten as long as it computes the same. The sampler's settings and the ranking count by their syntax tree
    without docstrings and comments, the libraries by version.
    """
    from smm_bayes.inference import compiled, sampling

    digest = hashlib.sha256()
    for source in (rank_one, _fit, _poor, _first, rank_of, compiled._packed, compiled.CompiledModel.with_data,
                   sampling.next_attempt, sampling.Run.start):  # fmt: skip
        digest.update(_code(inspect.getsource(source)).encode())
    said = (SEED, RANKED, SHORT, AGAIN, ASTRAY, sorted(versions("pymc", "nutpie").items()))
    digest.update(repr(said).encode())
    drawn = design.prior(20, rng=np.random.default_rng(SEED))
    for name, values in sorted((drawn | design.ranked(drawn)).items()):
        digest.update(f"{name}{values.shape}{_digits(values)}".encode())
    data = []
    for replicate in range(3):
        rng = np.random.default_rng([SEED, replicate])
        data.append(design.simulate(design.prior(1, rng=rng), rng=rng).data()[0])
    for density in _densities(data, design.build()):
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
