"""Long calibrations of every pre-specified model, resumable, stored beside it with hashes that fast tests verify.

``python -m smm_bayes.analysis.validate models`` continues the calibration of every ``models/*/spec*.toml`` to the
length it asks for: ``calibration.csv`` and ``calibration.json`` of ``spec.toml``, ``calibration_x.csv`` of
``spec_x.toml``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from smm_bayes.analysis.calibrate import COUNTED, RANKED, SEED, design_hash, rank_one
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.execution import run_chunks
from smm_bayes.inference.calibration import calibrated
from smm_bayes.inference.fingerprint import versions

CHUNK = 25


def stored(spec: Path) -> tuple[Path, Path]:
    """Where the ranks of a specification's calibration are, and what is said of them."""
    name = spec.stem.replace("spec", "calibration", 1)
    return spec.with_name(f"{name}.csv"), spec.with_name(f"{name}.json")


def validate(spec: Path, *, workers: int | None = None) -> dict[str, object]:
    """Calibrate the model of a specification, going on where an earlier run stopped.

    Parameters
    ----------
    spec : Path
    workers : int, optional
        Processes; as many as there are cores by default. The ranks do not depend on it.
    """
    inputs = read_inputs(spec)
    design, wanted = design_hash(inputs), inputs.spec.calibration.replicates
    path, said = stored(spec)
    done = read_ranks(path) if path.is_file() and _design(said) == design else []
    if not done:
        path.unlink(missing_ok=True)  # or a run stopped early would leave the old ranks to the new design
    said.write_text(json.dumps({"design": design, "complete": False}) + "\n")
    starts = range(len(done), wanted, CHUNK)
    with ProcessPoolExecutor(workers) as executor:
        chunks = [(spec, start, min(start + CHUNK, wanted)) for start in starts]
        for rows in run_chunks(_rank_chunk, chunks, executor):
            done.extend(rows)
            _write(path, done)
            print(f"{spec.parent.name}/{spec.name}: {len(done)} of {wanted} replicates", flush=True)
    result = {
        "design": design, "complete": True, "replicates": len(done), "ranked_among": RANKED, "seed": SEED,
        "ranks": hashlib.sha256(path.read_bytes()).hexdigest(), "versions": versions("pymc", "nutpie", "numpy"),
        "fits_done_again": sum(row["again"] for row in done),
        "fits_failed": sum(row["failed"] for row in done),
        "p_values_holm": {name: round(value, 4) for name, value in calibrated(ranks_of(done), RANKED).items()},
    }  # fmt: skip
    temporary = said.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(temporary, said)
    return result


def ranks_of(rows: list[dict[str, int]]) -> dict[str, np.ndarray]:
    """Ranks by quantity."""
    return {name: np.array([row[name] for row in rows]) for name in rows[0] if name not in COUNTED}


def read_ranks(path: Path) -> list[dict[str, int]]:
    """Rows of a stored calibration."""
    with path.open(newline="") as source:
        return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(source)]


def _rank_chunk(spec: Path, start: int, stop: int) -> list[dict[str, int]]:
    inputs, model = _prepared(spec)
    return [rank_one(inputs, model, replicate) for replicate in range(start, stop)]


@lru_cache(maxsize=1)
def _prepared(spec: Path) -> tuple[Any, Any]:
    """Inputs and model, once a process: the model is compiled at its first fit."""
    inputs = read_inputs(spec)
    return inputs, inputs.model.build()


def _design(path: Path) -> str:
    return json.loads(path.read_text()).get("design", "") if path.is_file() else ""


def _write(path: Path, rows: list[dict[str, int]]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


if __name__ == "__main__":
    from smm_bayes.analysis import validate as module  # not __main__: what workers run must be importable by name

    for found in sorted(Path(sys.argv[1]).glob("*/spec*.toml")):
        for key, value in module.validate(found).items():
            print(f"{found.parent.name}/{found.name}: {key}: {value}")
