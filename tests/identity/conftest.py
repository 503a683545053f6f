"""A specification as a file, changed key by key, and the trial it completes from hazards that are known."""

from __future__ import annotations

import copy
import csv
import datetime
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from smm_bayes.analysis.answers import predict
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.spec import AnalysisSpec

ROOT = Path(__file__).parents[2]
ORIGIN, CUTOFF = datetime.date(2020, 1, 1), datetime.date(2022, 1, 1)

BASE = {
    "schema_version": 1,
    "trial": {"name": "T", "title": "A trial", "question": "Is it better?"},
    "snapshot": {
        "file": "adtte.csv", "parameter": "PFS", "provenance": "simulated",
        "arms": {"control": "Rd", "experimental": "KRd"},
        "causes": {"progression": ["Progression"], "death": ["Death"]},
        "censoring": {"1": "administrative", "2": "lost"},
    },
    "model": {
        "cuts": [12, 24],
        "prior": {
            "baseline": {"progression": {"median": 24, "upper": 96}, "death": {"median": 700, "upper": 5600}},
            "hazard_ratio": {"progression": {"median": 0.8, "upper": 2.0}, "death": {"median": 1.0, "upper": 2.7}},
            "smoothness": {"fold_change": 2.0},
        },
    },
    "final": {"at": "date", "date": datetime.date(2024, 1, 1)},
    "success": {"rule": "event_count", "at_most": 20},
}  # fmt: skip


def toml(value: object) -> str:
    """A value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return value.isoformat() if isinstance(value, datetime.date) else json.dumps(value)


class SpecFile:
    """A folder with a specification and its tables; keys are dotted, and None removes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, object]] = []

    def patient(self, arm: str, start: datetime.date, end: datetime.date, code: int = 1, what: str = "") -> None:
        """Add a patient: CNSR 0 for an event, 1 for still followed, 2 for lost."""
        self.rows.append({
            "STUDYID": "T", "USUBJID": f"{len(self.rows):03d}", "PARAMCD": "PFS", "AVAL": (end - start).days + 1,
            "AVALU": "DAYS", "CNSR": code, "STARTDT": start, "ADT": end, "EVNTDESC": what, "CNSDTDSC": "",
            "TRT01P": arm,
        })  # fmt: skip

    def followed(self, number: int = 40, start: datetime.date = ORIGIN, end: datetime.date = CUTOFF) -> SpecFile:
        """Add patients of each arm still followed at the data cut, and one event on the first day in each arm."""
        for arm in ("Rd", "KRd"):
            for _ in range(number):
                self.patient(arm, start, end)
            self.patient(arm, start, start + datetime.timedelta(days=30), 0, "Progression")
        return self

    def load(self, changes: dict[str, object] | None = None, **sections: object) -> AnalysisSpec:
        """Write and load the specification with some keys changed."""
        content = copy.deepcopy(BASE) | sections
        for path, value in (changes or {}).items():
            *parents, last = path.split(".")
            place = content
            for parent in parents:
                place = place.setdefault(parent, {})
            if value is None:
                place.pop(last, None)
            else:
                place[last] = value
        (self.folder / "spec.toml").write_text("".join(f"{json.dumps(k)} = {toml(v)}\n" for k, v in content.items()))
        return AnalysisSpec.load(self.folder / "spec.toml")

    def inputs(self, changes: dict[str, object] | None = None, **sections: object):
        """Read specification and patients."""
        with (self.folder / "adtte.csv").open("w", newline="") as target:
            writer = csv.DictWriter(target, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)
        return read_inputs(self.load(changes, **sections))

    def complete(self, hazards: dict[str, float], changes: dict[str, object] | None = None, *, seed: int = 4, **sections):
        """Complete the trial from constant hazards by cause, the same in both arms and known exactly."""
        inputs = self.inputs({"prediction.replicates": 4000, **(changes or {})}, **sections)
        causes, arms, size = inputs.patients.causes, inputs.patients.arms, len(inputs.spec.grid)
        log_hazard = np.log([hazards[cause] for cause in causes])[:, None]
        array = np.broadcast_to(log_hazard, (1, 4000, len(arms), len(causes), size))
        known = xr.Dataset({"log_hazard": (("chain", "draw", "arm", "cause", "interval"), array)},
                           coords={"arm": list(arms), "cause": list(causes)})  # fmt: skip
        return inputs, predict(inputs, SimpleNamespace(posterior=known), seed=seed)


@pytest.fixture
def spec_file(tmp_path: Path) -> SpecFile:
    """An empty folder for a specification and its patients."""
    return SpecFile(tmp_path)
