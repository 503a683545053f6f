"""Long calibrations of every pre-specified model, resumable, stored beside it with hashes that fast tests verify.

``python -m smm_bayes.validation.validate models`` continues the calibration of every ``models/*/spec*.toml`` to the
length it asks for: ``calibration.csv`` and ``calibration.json`` of ``spec.toml``, ``calibration_x.csv`` of
``spec_x.toml``; with a section of MRD also ``calibration_mrd.csv``, of the joint model. What no trial's specification
uses (:data:`smm_bayes.validation.designs.VARIANTS`) is in ``models/variants``. Further arguments name the ones to run.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.execution import run_chunks
from smm_bayes.inference.calibration import calibrated
from smm_bayes.inference.fingerprint import versions
from smm_bayes.reading import read_json
from smm_bayes.validation.calibrate import COUNTED, RANKED, SEED, design_hash, rank_one
from smm_bayes.validation.designs import FEWER, VARIANTS, Design, InterimDesign
from smm_bayes.validation.designs.joint_interim import JointInterimDesign

CHUNK, OF_VARIANTS, OF_MRD = 25, 1000, 200


@dataclass(frozen=True)
class Calibration:
    """A stored calibration: of a specification, or of a variant.

    Attributes
    ----------
    name : str
    spec : Path or None
        None for a variant.
    table, summary : Path
        The ranks, and what is said of them.
    mrd : bool
        Whether it is of the specification's joint model with patients' MRD.
    """

    name: str
    spec: Path | None
    table: Path
    summary: Path
    mrd: bool = False

    @classmethod
    def all(cls, models: Path) -> list[Calibration]:
        """Those of a folder of models."""
        found = []
        for spec in sorted(models.glob("*/spec*.toml")):
            stem = spec.stem.replace("spec", "calibration", 1)
            files = spec.with_name(f"{stem}.csv"), spec.with_name(f"{stem}.json")
            found.append(cls(f"{spec.parent.name}/{spec.stem}", spec, *files))
            if AnalysisSpec.load(spec).mrd is not None:
                files = spec.with_name(f"{stem}_mrd.csv"), spec.with_name(f"{stem}_mrd.json")
                found.append(cls(f"{spec.parent.name}/{spec.stem}_mrd", spec, *files, True))
        stems = [(name, models / "variants" / f"calibration_{name}") for name in sorted(VARIANTS)]
        return found + [cls(f"variants/{name}", None, stem.with_suffix(".csv"), stem.with_suffix(".json"))
                        for name, stem in stems]  # fmt: skip

    def design(self) -> tuple[Design, int]:
        """Give the design, and how many replicates are wanted."""
        if self.spec is None:
            name = self.name.removeprefix("variants/")
            return VARIANTS[name](), FEWER.get(name, OF_VARIANTS)
        inputs = read_inputs(self.spec)
        if self.mrd:
            return JointInterimDesign(inputs), OF_MRD
        return InterimDesign(inputs), inputs.spec.calibration.replicates

    def rows(self) -> list[dict[str, int]]:
        """Ranks of every replicate so far, and what is counted beside them."""
        with self.table.open(newline="") as source:
            return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(source)]

    def run(self, *, workers: int | None = None) -> dict[str, object]:
        """Calibrate, going on where an earlier run stopped.

        Parameters
        ----------
        workers : int, optional
            Processes; as many as there are cores by default. The ranks do not depend on it.
        """
        design, wanted = self.design()
        digest = design_hash(design)
        self.table.parent.mkdir(exist_ok=True)
        done = self.rows() if self.table.is_file() and self._digest() == digest else []
        if not done:
            self.table.unlink(missing_ok=True)  # or a run stopped early would leave the old ranks to the new design
        self.summary.write_text(json.dumps({"design": digest, "complete": False}) + "\n")
        with ProcessPoolExecutor(workers) as executor:
            chunks = [(self, start, min(start + CHUNK, wanted)) for start in range(len(done), wanted, CHUNK)]
            for rows in run_chunks(_rank_chunk, chunks, executor):
                done.extend(rows)
                _write(self.table, done)
                print(f"{self.name}: {len(done)} of {wanted} replicates", flush=True)
        result = {
            "design": digest, "complete": True, "replicates": len(done), "ranked_among": RANKED, "seed": SEED,
            "ranks": hashlib.sha256(self.table.read_bytes()).hexdigest(),
            "versions": versions("pymc", "nutpie", "numpy"),
            "fits_done_again": sum(row["again"] for row in done),
            "fits_failed": sum(row["failed"] for row in done),
            "p_values_holm": {name: round(value, 4) for name, value in calibrated(ranks_of(done), RANKED).items()},
        }  # fmt: skip
        temporary = self.summary.with_suffix(".tmp")
        temporary.write_text(json.dumps(result, indent=2) + "\n")
        os.replace(temporary, self.summary)
        return result

    def _digest(self) -> str:
        return read_json(self.summary).get("design", "") if self.summary.is_file() else ""


def ranks_of(rows: list[dict[str, int]]) -> dict[str, np.ndarray]:
    """Ranks by quantity."""
    return {name: np.array([row[name] for row in rows]) for name in rows[0] if name not in COUNTED}


def _rank_chunk(calibration: Calibration, start: int, stop: int) -> list[dict[str, int]]:
    design, model = _prepared(calibration)
    return [rank_one(design, model, replicate) for replicate in range(start, stop)]


@lru_cache(maxsize=1)
def _prepared(calibration: Calibration) -> tuple[Design, Any]:
    """Design and model, once a process: the model is compiled at its first fit."""
    design, _ = calibration.design()
    return design, design.build()


def _write(path: Path, rows: list[dict[str, int]]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


def main() -> None:
    """Run those named on the command line, or all."""
    models, *named = sys.argv[1:]
    for calibration in Calibration.all(Path(models)):
        if not named or calibration.name in named:
            for key, value in calibration.run().items():
                print(f"{calibration.name}: {key}: {value}")


if __name__ == "__main__":
    from smm_bayes.validation import validate  # not __main__: what the workers run must be importable by name

    validate.main()
