"""Long calibrations of every pre-specified model, resumable, stored beside it with hashes that fast tests verify.

``python -m smm_bayes.analysis.validate models`` continues every ``models/*/calibration.csv`` to its full length and
writes ``calibration.json``.
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

import numpy as np

from smm_bayes.analysis.interim import InterimInputs, read_inputs
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.calibration import calibrated, rank_of
from smm_bayes.inference.fingerprint import versions
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.likelihood import log_likelihood
from smm_bayes.survival.piecewise import PiecewiseExponential

SEED, REPLICATES, RANKED, SHORT = 20261121, 1000, 99, {"draws": 500, "tune": 500, "chains": 2}


def design_hash(inputs: InterimInputs) -> str:
    """Hash of everything the calibration depends on: model, priors, simulator, sampler, design and settings.

    Code counts by its syntax tree without docstrings: comments and layout may change.
    """
    from smm_bayes.inference import compiled, sampling
    from smm_bayes.survival import grid, model, piecewise, priors, walk

    digest = hashlib.sha256()
    for module in (grid, piecewise, priors, walk, model, sampling, compiled, sys.modules[__name__]):
        digest.update(_code(inspect.getsource(module)).encode())
    patients = inputs.patients
    for array in (patients.arm, patients.enrolled):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    said = (inputs.spec.model.model_dump_json(), SEED, REPLICATES, RANKED, sorted(SHORT.items()),
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
    from smm_bayes.survival.model import model_data

    rng = np.random.default_rng([SEED, replicate])
    patients = inputs.patients
    truth = inputs.spec.priors.sample(patients.causes, len(patients.arms), len(inputs.spec.grid), 1, rng=rng)
    table = simulate_table(inputs, truth["log_hazard"][0], rng=rng)
    fitted = fit(model, seed=int(rng.integers(2**31)), data=model_data(table, inputs.spec.priors),
                 attempts=1, log_densities=False, **SHORT)  # type: ignore[arg-type]  # fmt: skip
    posterior = fitted.posterior
    size = posterior.sizes["chain"] * posterior.sizes["draw"]
    keep = np.linspace(0, size - 1, RANKED).round().astype(int)
    ranks: dict[str, int] = {}
    for name in ("level", "log_hazard_ratio", "smoothness"):
        if name not in truth or name not in posterior:
            continue
        draws = posterior[name].values.reshape(size, -1)[keep]
        for index, cause in enumerate(patients.causes):
            ranks[f"{name}:{cause}"] = rank_of(truth[name][0, index], draws[:, index], rng=rng)
    dims = ("chain", "draw", "arm", "cause", "interval")
    hazards = posterior["log_hazard"].transpose(*dims).values.reshape(size, *truth["log_hazard"].shape[1:])[keep]
    for cell in ((0, 0, 0), (-1, -1, -1)):
        at = (0, *cell)
        ranks[f"log_hazard:{cell}"] = rank_of(truth["log_hazard"][at], hazards[(slice(None), *cell)], rng=rng)
    ranks["log_likelihood"] = rank_of(
        float(log_likelihood(truth["log_hazard"], table)[0]), log_likelihood(hazards, table), rng=rng
    )
    ranks["divergences"] = fitted.convergence.divergences
    return ranks


def validate(folder: Path) -> dict[str, object]:
    """Calibrate the model of ``folder/spec.toml``, going on where an earlier run stopped."""
    from smm_bayes.survival.model import piecewise_exponential_model

    inputs = read_inputs(folder / "spec.toml")
    design = design_hash(inputs)
    path, said = folder / "calibration.csv", folder / "calibration.json"
    done = _read(path) if path.is_file() and _design(said) == design else []
    said.write_text(json.dumps({"design": design, "complete": False}) + "\n")
    if len(done) < REPLICATES:
        model = piecewise_exponential_model(inputs.table, inputs.spec.priors)
        for replicate in range(len(done), REPLICATES):
            done.append(rank_one(inputs, model, replicate))
            if replicate % 25 == 24 or replicate == REPLICATES - 1:
                _write(path, done)
                print(f"{folder.name}: {replicate + 1} of {REPLICATES} replicates", flush=True)
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
    for spec in sorted(Path(sys.argv[1]).glob("*/spec.toml")):
        for key, value in validate(spec.parent).items():
            print(f"{spec.parent.name}: {key}: {value}")
