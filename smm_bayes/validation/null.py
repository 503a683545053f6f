r"""Coverage where MRD has no effect: the naive comparison, the landmark, and the joint model, in simulated trials.

``python -m smm_bayes.validation.null models/variants`` goes on with ``mrd_null.csv`` to 1000 trials and then writes
``mrd_null.json``. Each trial has 120 patients in two arms, enrolled evenly over 24 months, a data cut at 60, visits at
3.7 and 8.3 months and 15 % of results missing at random; hazards of progression of 0.021 and of death of 0.002 a month
(median 30 months) in the control arm, 0.85 and 1 times as much in the experimental arm. Hazard ratios are those of
progression, MRD-negative over not:

- *naive*: who was ever found negative over the others, by Cox's partial likelihood from enrolment;
- *landmark*: by status at the last visit, among patients who are event-free then, from there on;
- *flat*: the joint model with next to no prior of the hazard ratio (95 % between 0.001 and 1000). These three in trials
  whose hazard ratio is 1;
- *default*: the joint model with the prior 0.5 (0.17 to 1.5), in trials of the same kind whose hazard ratio is drawn
  from it: an informative prior covers what it expects on average, not every value alike.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from smm_bayes.execution import run_chunks
from smm_bayes.inference.fingerprint import versions
from smm_bayes.priors.clinical import Z_UPPER, HazardRatioPrior
from smm_bayes.reading import read_json, read_text
from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.visits.status import NEGATIVE
from smm_bayes.surrogacy.within.landmark import landmark_patients
from smm_bayes.surrogacy.within.naive import naive_responder_hazard_ratio
from smm_bayes.validation import calibrate
from smm_bayes.validation.designs.joint import CAUSES, JointDesign, SimulatedJoint

SEED, REPLICATES, CHUNK, DIGITS = 20261203, 1000, 20, 8
FLAT, DEFAULT = HazardRatioPrior(1.0, 1000.0), HazardRatioPrior(0.5, 1.5)
TRUTH = {
    "log_hazard": np.log([[[0.021], [0.002]], [[0.85 * 0.021], [0.002]]]) + np.zeros(5),
    "status_level": np.array([-1.0, -0.8]), "status_log_odds_ratio": np.array([1.0, 0.8]),
    "status_persistence": np.array([2.5]),
}  # fmt: skip
TAILS = (0.025, 0.5, 0.975)
COLUMNS = (
    "naive", "landmark", "landmark_se", "flat_low", "flat_median", "flat_high", "truth", "default_low",
    "default_median", "default_high", "again", "failed",
)  # fmt: skip
TABLE, SUMMARY = "mrd_null.csv", "mrd_null.json"
Row = dict[str, float]


def design_of(prior: HazardRatioPrior) -> JointDesign:
    """Give the design of the trials, with a prior of the hazard ratio of MRD for the fit."""
    return JointDesign(missing=0.15, size=120, joint=JointPriors({CAUSES[0]: prior}))


def simulated(replicate: int) -> tuple[float, SimulatedJoint, SimulatedJoint]:
    """Simulate the trial without effect, and another with an effect drawn from the default prior, given first."""
    rng = np.random.default_rng([SEED, replicate])
    truth = float(rng.normal(DEFAULT.mean, DEFAULT.sd))
    without, with_effect = (
        design_of(prior).simulate({**{name: values[None] for name, values in TRUTH.items()},
                                   "log_mrd_hazard_ratio": np.array([[effect]])}, rng=rng)
        for prior, effect in ((FLAT, 0.0), (DEFAULT, truth)))  # fmt: skip
    return truth, without, with_effect


def compared(trial: SimulatedJoint) -> Row:
    """Naive and landmark log hazard ratios."""
    patients, code = trial.patients, trial.status.code
    naive = naive_responder_hazard_ratio(patients, CAUSES[0], negative=(code == NEGATIVE).any(axis=1))
    landmark = landmark_patients(patients, np.maximum(code[:, -1], -1), trial.status.schedule.months[-1])
    ratio = landmark.cox_ratio(CAUSES[0])
    return {"naive": naive.log_hazard_ratio, "landmark": ratio.log_hazard_ratio, "landmark_se": ratio.standard_error}


def fitted(trial: SimulatedJoint, name: str, seed: int) -> Row:
    """Posterior median and 95 % interval of the log hazard ratio, and whether the fit was done again or is poor."""
    found, again = calibrate._fit(_model(name), trial.data()[0], seed)
    draws = found.posterior["log_mrd_hazard_ratio"].values.ravel()
    low, median, high = (float(value) for value in np.quantile(draws, TAILS))
    return {f"{name}_low": low, f"{name}_median": median, f"{name}_high": high, "again": float(again),
            "failed": float(calibrate._poor(found))}  # fmt: skip


@lru_cache(maxsize=2)
def _model(name: str) -> Any:
    """PyMC model, once a process: it is compiled at its first fit."""
    return design_of(FLAT if name == "flat" else DEFAULT).build()


def one_trial(replicate: int) -> Row:
    """Give a row of the table."""
    truth, without, with_effect = simulated(replicate)
    flat, default = fitted(without, "flat", 2 * replicate), fitted(with_effect, "default", 2 * replicate + 1)
    row = compared(without) | flat | {"truth": truth} | default
    return {name: (flat[name] + default[name] if name in ("again", "failed") else row[name]) for name in COLUMNS}


def null_hash() -> str:
    """Hash of what the table depends on: models, priors, simulator, sampler, comparisons, settings."""
    digest = hashlib.sha256(repr((SEED, TAILS, COLUMNS, FLAT, DEFAULT)).encode())
    for prior in (FLAT, DEFAULT):
        digest.update(calibrate.design_hash(design_of(prior)).encode())
    for source in (fitted, one_trial):
        digest.update(calibrate._code(inspect.getsource(source)).encode())
    for replicate in range(3):
        truth, without, with_effect = simulated(replicate)
        times = [trial.patients.time for trial in (without, with_effect)]
        digest.update(calibrate._digits(np.array([truth, *compared(without).values(), *np.ravel(times)])).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Coverage:
    """Share of 95 % intervals that hold the truth, and what the comparisons find on average.

    Attributes
    ----------
    landmark, flat, default : float
    mcse : float
        Monte Carlo standard error of a share of 0.95.
    naive_hazard_ratio, landmark_hazard_ratio, flat_hazard_ratio : float
        Exponential of the mean log hazard ratio (of posterior medians), where the truth is 1.
    naive_below : float
        Share of naive hazard ratios below 1.
    """

    landmark: float
    flat: float
    default: float
    mcse: float
    naive_hazard_ratio: float
    landmark_hazard_ratio: float
    flat_hazard_ratio: float
    naive_below: float

    @classmethod
    def of(cls, rows: list[Row]) -> Coverage:
        """Summarise the table."""
        column = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
        truth, ratio = column["truth"], {name: float(np.exp(values.mean())) for name, values in column.items()}
        default = (column["default_low"] <= truth) & (column["default_high"] >= truth)
        return cls(
            landmark=float(np.mean(np.abs(column["landmark"]) <= Z_UPPER * column["landmark_se"])),
            flat=float(np.mean((column["flat_low"] <= 0) & (column["flat_high"] >= 0))), default=float(default.mean()),
            mcse=float(np.sqrt(0.95 * 0.05 / len(rows))), naive_hazard_ratio=ratio["naive"],
            landmark_hazard_ratio=ratio["landmark"], flat_hazard_ratio=ratio["flat_median"],
            naive_below=float(np.mean(column["naive"] < 0)),
        )  # fmt: skip


def read(path: Path) -> list[Row]:
    """Rows of the stored table."""
    lines = read_text(path).splitlines()
    return [dict(zip(lines[0].split(","), map(float, line.split(",")), strict=True)) for line in lines[1:]]


def write(rows: list[Row], path: Path) -> None:
    """Write the table under a temporary name, and then move it."""
    lines = [",".join(COLUMNS), *(",".join(f"{row[name]:.{DIGITS}g}" for name in COLUMNS) for row in rows)]
    _put(path, "\n".join(lines) + "\n")


def _put(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def _chunk(start: int, stop: int) -> list[Row]:
    return [one_trial(replicate) for replicate in range(start, stop)]


def run(folder: Path, *, replicates: int = REPLICATES, workers: int | None = None) -> dict[str, Any]:
    """Make the table, going on where an earlier run of the same design stopped; give the summary.

    Parameters
    ----------
    folder : Path
    replicates : int
    workers : int, optional
        Processes; as many as there are cores by default. The rows do not depend on it.
    """
    digest, table, summary = null_hash(), folder / TABLE, folder / SUMMARY
    known = read_json(summary).get("design") if summary.is_file() else ""
    rows = read(table) if table.is_file() and known == digest else []
    folder.mkdir(parents=True, exist_ok=True)
    _put(summary, json.dumps({"design": digest, "complete": False}) + "\n")
    with ProcessPoolExecutor(workers) as executor:
        chunks = [(start, min(start + CHUNK, replicates)) for start in range(len(rows), replicates, CHUNK)]
        for more in run_chunks(_chunk, chunks, executor):
            rows.extend(more)
            write(rows, table)
            print(f"{TABLE}: {len(rows)} of {replicates} trials", flush=True)
    coverage = Coverage.of(read(table))
    said = {
        "design": digest, "complete": True, "replicates": len(rows), "seed": SEED,
        "table": hashlib.sha256(table.read_bytes()).hexdigest(), "versions": versions("pymc", "nutpie", "numpy"),
        "fits_done_again": int(sum(row["again"] for row in rows)),
        "fits_failed": int(sum(row["failed"] for row in rows)),
        "coverage": {name: round(value, 4) for name, value in vars(coverage).items()},
    }  # fmt: skip
    _put(summary, json.dumps(said, indent=2) + "\n")
    return said


if __name__ == "__main__":
    from smm_bayes.validation import null as mrd_null  # not __main__: what the workers run must be importable by name

    print(mrd_null.run(Path(sys.argv[1])))
