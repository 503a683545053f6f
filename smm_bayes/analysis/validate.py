"""Long calibrations of every pre-specified model, resumable, stored beside it with hashes that fast tests verify.

``python -m smm_bayes.analysis.validate models`` continues the calibration of every ``models/*/spec*.toml`` to the
length it asks for: ``calibration.csv`` and ``calibration.json`` of ``spec.toml``, ``calibration_x.csv`` of
``spec_x.toml``.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import inspect
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.hazards import WithEarlierTrials
from smm_bayes.analysis.interim import InterimInputs, read_inputs
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.calibration import calibrated, rank_of
from smm_bayes.inference.fingerprint import versions
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.piecewise import PiecewiseExponential

if TYPE_CHECKING:
    import xarray as xr

SEED, RANKED, SHORT = 20261121, 99, {"draws": 1000, "tune": 500, "chains": 2}

SUMMARIES = ("level", "log_hazard_ratio", "smoothness", "ratio_smoothness", "log_half_life", "between_hazard",
             "between_effect", "log_contrast", "endpoint_offset")  # fmt: skip


def design_hash(inputs: InterimInputs) -> str:
    """Hash of everything the calibration depends on: model, priors, simulator, sampler, design and settings.

    Code counts by its syntax tree without docstrings: comments and layout may change.
    """
    from smm_bayes.borrowing import cohorts, hierarchical
    from smm_bayes.borrowing import priors as trials_priors
    from smm_bayes.inference import compiled, sampling
    from smm_bayes.survival import effects, grid, model, model_priors, piecewise, priors, walk

    digest = hashlib.sha256()
    modules: list[ModuleType] = [grid, piecewise, priors, model_priors, effects, walk, sampling, compiled]
    modules.append(sys.modules[__name__])
    earlier = isinstance(inputs.model, WithEarlierTrials)
    for module in (*modules, *((cohorts, hierarchical, trials_priors) if earlier else (model,))):
        digest.update(_code(inspect.getsource(module)).encode())
    for name, values in sorted(inputs.model.data()[0].items()) if earlier else ():
        digest.update(name.encode() + np.round(values, 6).tobytes())
    patients = inputs.patients
    for array in (patients.arm, patients.enrolled):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    evidence = inputs.spec.evidence.model_dump_json() if inputs.spec.evidence else ""
    said = (inputs.spec.model.model_dump_json(), evidence, SEED, RANKED, sorted(SHORT.items()),
            sorted(versions("pymc", "nutpie").items()))  # fmt: skip
    digest.update(repr(said).encode())
    return digest.hexdigest()


def _code(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0].value = ast.Constant("")
    return ast.dump(tree)


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


def rank_one(inputs: InterimInputs, model: object, replicate: int) -> dict[str, int]:
    """Draw a truth from the prior, simulate, refit, and rank the truth among the posterior draws."""
    from smm_bayes.inference.sampling import fit

    rng = np.random.default_rng([SEED, replicate])
    truth = inputs.model.prior(1, rng=rng)
    drawn = inputs.model.simulated(simulate_table(inputs, truth["log_hazard"][0], rng=rng), truth, rng=rng)
    fitted = fit(model, seed=int(rng.integers(2**31)), data=drawn.data()[0], attempts=1, log_densities=False, **SHORT)  # type: ignore[arg-type]
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
    ranks["divergences"] = fitted.convergence.divergences
    return ranks


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


def stored(spec: Path) -> tuple[Path, Path]:
    """Where the ranks of a specification's calibration are, and what is said of them."""
    name = spec.stem.replace("spec", "calibration", 1)
    return spec.with_name(f"{name}.csv"), spec.with_name(f"{name}.json")


def validate(spec: Path) -> dict[str, object]:
    """Calibrate the model of a specification, going on where an earlier run stopped."""
    inputs = read_inputs(spec)
    design, wanted = design_hash(inputs), inputs.spec.calibration.replicates
    path, said = stored(spec)
    done = _read(path) if path.is_file() and _design(said) == design else []
    if not done:
        path.unlink(missing_ok=True)  # or a run stopped early would leave the old ranks to the new design
    said.write_text(json.dumps({"design": design, "complete": False}) + "\n")
    if len(done) < wanted:
        model = inputs.model.build()
        for replicate in range(len(done), wanted):
            done.append(rank_one(inputs, model, replicate))
            if replicate % 25 == 24 or replicate == wanted - 1:
                _write(path, done)
                print(f"{spec.parent.name}/{spec.name}: {replicate + 1} of {wanted} replicates", flush=True)
    ranks = {name: np.array([row[name] for row in done]) for name in done[0] if name != "divergences"}
    result = {
        "design": design, "complete": True, "replicates": len(done), "ranked_among": RANKED, "seed": SEED,
        "ranks": hashlib.sha256(path.read_bytes()).hexdigest(), "versions": versions("pymc", "nutpie", "numpy"),
        "fits_with_divergences": int(sum(row["divergences"] > 0 for row in done)),
        "p_values_holm": {name: round(value, 4) for name, value in calibrated(ranks, RANKED).items()},
    }  # fmt: skip
    temporary = said.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(temporary, said)
    return result


def _design(path: Path) -> str:
    return json.loads(path.read_text()).get("design", "") if path.is_file() else ""


def _read(path: Path) -> list[dict[str, int]]:
    with path.open(newline="") as source:
        return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(source)]


def _write(path: Path, rows: list[dict[str, int]]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


if __name__ == "__main__":
    for found in sorted(Path(sys.argv[1]).glob("*/spec*.toml")):
        for key, value in validate(found).items():
            print(f"{found.parent.name}/{found.name}: {key}: {value}")
