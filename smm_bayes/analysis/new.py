"""A folder for a new trial: an annotated specification with simulated patients, which runs at once."""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from smm_bayes.analysis.folder import whole_folder
from smm_bayes.analysis.simulated_trial import MrdPlan, TrialDesign, simulate_trial
from smm_bayes.errors import SpecificationError, nearest
from smm_bayes.files import write_whole
from smm_bayes.reading import shown
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.writers import write_adtte, write_mrd

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SEED = 2026
TEXTS = {"progression": "Progression", "death": "Death without progression"}
PRIORS = ("baseline", "ratio_progression", "ratio_death", "smoothness")
TWO_ARMS = ("enrolment_two", "final_two", "rest")
# parts of the specification by kind of trial, in their order
KINDS: dict[str, tuple[str, ...]] = {
    "two-arm": ("head", "snapshot", "arms_two", "causes", "model", *PRIORS, *TWO_ARMS),
    "single-arm": ("head", "snapshot", "arms_one", "causes", "model", "baseline", "smoothness", "enrolment_one",
                   "final_one", "rest"),
    "earlier-trials": ("head", "snapshot", "arms_two", "causes", "model", "baseline_reference", "ratio_death",
                       "smoothness", "evidence", *TWO_ARMS),
    "mrd": ("head", "snapshot", "mrd_table", "arms_two", "causes", "model", *PRIORS, "mrd", *TWO_ARMS),
}  # fmt: skip


def new_trial(name: str, kind: str = "two-arm", out: str | Path | None = None) -> Path:
    """Write the folder of a new trial: spec.toml with comments, simulated tables and the stub of a model card.

    Parameters
    ----------
    name : str
        Letters, digits, hyphens and underscores.
    kind : {"two-arm", "single-arm", "earlier-trials", "mrd"}
    out : path, optional
        The folder, which must not exist; by default ``models/NAME``, or ``NAME`` where there is no folder ``models``.

    Returns
    -------
    pathlib.Path
        The folder, which is written whole or not at all.

    Raises
    ------
    SpecificationError
        When the name or kind is not possible, or the folder exists or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise SpecificationError(f"{shown(name)!r} cannot be the name of a trial; use up to 64 letters, digits, "
                                 "hyphens and underscores, a letter or digit first")  # fmt: skip
    if kind not in KINDS:
        raise SpecificationError(f"--kind {shown(kind)}: there is no such kind{nearest(kind, KINDS)}; use one of "
                                 f"{', '.join(KINDS)}")  # fmt: skip
    place = Path(out) if out is not None else (Path("models") / name if Path("models").is_dir() else Path(name))
    _refuse_existing(place)
    with whole_folder(place, lambda: _refuse_existing(place)) as folder:
        try:
            _write(folder, name, kind)
        except OSError as error:
            raise SpecificationError(f"{shown(place)} cannot be written ({error.strerror}); give another folder with "
                                     "--out") from None  # fmt: skip
    return place


def _refuse_existing(place: Path) -> None:
    if os.path.lexists(place):
        raise SpecificationError(f"{shown(place)} exists already; give another name, or a new folder with --out")


def _write(folder: Path, name: str, kind: str) -> None:
    """Write every file of the folder."""
    write_whole(folder / "spec.toml", "".join(_text(f"{part}.toml", name) for part in KINDS[kind]))
    write_whole(folder / "card.md", _text("card.md", name))
    patients = example(kind)
    write_adtte(replace(patients, trial=f"{name} SIMULATED"), folder / "simulated_adtte.csv", unit="day", causes=TEXTS)
    if kind == "mrd":
        write_mrd(patients, folder / "simulated_mrd.csv", unit="day")
    if kind == "earlier-trials":
        earlier = simulate_trial(earlier_design(), rng=np.random.default_rng(SEED + 1))
        write_adtte(earlier, folder / "simulated_earlier_adtte.csv", unit="day", causes=TEXTS)


def example(kind: str = "two-arm") -> Patients:
    """Simulate the patients of a kind of trial: the same ones every time."""
    patients = simulate_trial(design(), rng=np.random.default_rng(SEED))
    if kind != "single-arm":
        return patients
    mine = patients.arm == 1
    return patients.take(mine, arm=np.zeros(int(mine.sum()), dtype=int), arms=patients.arms[1:],
                         arm_names=patients.arm_names[1:])  # fmt: skip


def design() -> TrialDesign:
    """Give the truth of the simulated trial."""
    mrd = MrdPlan(
        days=(112, 252), scatter=7, negative=((0.08, 0.12), (0.35, 0.5)), stays=(0.85,), missing=(0.1, 0.1),
        hazard_ratio=0.4, sensitivity=1e-5,
    )  # fmt: skip
    return TrialDesign(
        trial="SIMULATED", patient="SIMULATED", arm_names=("Standard", "New"), planned=(80, 80), block=(2, 2),
        start=datetime.date(2022, 3, 7), rate=3.0, grid=TimeGrid((12,)), shape=(1.0, 1.0), free_month=36.0,
        free_of_progression=(0.5, 0.68), death=((0.0015, 0.0015), (0.0015, 0.0015)), loss=(0.002, 0.002), mrd=mrd,
        cutoff=datetime.date(2025, 6, 30),
    )  # fmt: skip


def earlier_design() -> TrialDesign:
    """Give the truth of the simulated earlier trial."""
    return replace(
        design(), trial="EARLIER SIMULATED", patient="EARLIER-SIMULATED", arm_names=("Observation", "Standard"),
        planned=(50, 50), start=datetime.date(2017, 3, 6), free_of_progression=(0.3, 0.55),
        cutoff=datetime.date(2022, 12, 31),
    )  # fmt: skip


def _text(part: str, name: str) -> str:
    """Give a part of a text with the name of the trial in it."""
    template = (files("smm_bayes.analysis") / "templates" / part).read_text(encoding="utf-8")
    return Template(template).substitute(name=name)
