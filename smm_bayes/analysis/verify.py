"""Checking what is on record: runs, frozen specifications and their logs, forecasts, reconstructions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smm_bayes.analysis.forecast_log import LOG as FORECASTS
from smm_bayes.analysis.freeze import check_frozen
from smm_bayes.analysis.log import read_log
from smm_bayes.analysis.pinned import DECISION, MANIFEST, POSTERIOR, check_answer, check_folder
from smm_bayes.errors import SmmBayesError, SpecificationError
from smm_bayes.evidence.origin import check_reconstruction
from smm_bayes.reading import read_json

FROZEN, LOG, RECORD = ".frozen.json", ".log.jsonl", "forecast.json"
SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True)
class Finding:
    """What checking one thing found.

    Attributes
    ----------
    path : pathlib.Path
    good : bool
    words : str
    """

    path: Path
    good: bool
    words: str

    def __str__(self) -> str:
        return f"ok: {self.path}: {self.words}" if self.good else f"NOT ok: {self.words}"


def verify(paths: Sequence[Path]) -> list[Finding]:
    """Check everything on record at the paths and in the folders below them.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Folders of runs, folders that hold any, specifications, logs, records of forecasts, reconstructions.

    Returns
    -------
    list of Finding

    Raises
    ------
    SpecificationError
        When a path is not there, or nothing that can be checked is.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise SpecificationError(f"{', '.join(missing)}: not there; give a file or folder")
    found = [_look(path, what) for path, what in _things(paths)]
    if not found:
        where = ", ".join(map(str, paths))
        raise SpecificationError(f"{where}: no run, frozen specification, forecast or reconstruction; give its folder")
    return found


def check_run(folder: Path) -> str:
    """Check that a run's folder is what the run wrote, and that the answer follows from its simulated trials.

    Raises
    ------
    DataError
    """
    decision = check_folder(folder)
    import xarray as xr

    with xr.open_datatree(folder / POSTERIOR, engine="h5netcdf") as tree:
        check_answer(folder, decision, tree)
    answer = f"probability of success {decision.probability_of_success:.3f}"
    return f"run of {decision.trial}, {answer}, {decision.inputs.frozen}"


def check_forecasts(folder: Path) -> str:
    """Check the seal of every forecast of a folder, and that each names the one before.

    Raises
    ------
    SpecificationError
    """
    from smm_bayes.analysis.forecast import read_forecast, records

    for number in range(1, len(records(folder)) + 1):
        read_forecast(folder, number)
    return f"{len(records(folder))} forecasts on record"


def _look(path: Path, check: Callable[[Path], str]) -> Finding:
    try:
        return Finding(path, True, check(path))
    except SmmBayesError as error:
        words = " ".join(str(error).split())
        return Finding(path, False, words if str(path) in words else f"{path}: {words}")


def _things(paths: Sequence[Path]) -> Iterator[tuple[Path, Callable[[Path], str]]]:
    seen = set()
    for path in paths:
        for folder, names in _folders(path):
            for thing in _in_folder(folder, names, alone=path.is_file()):
                if thing not in seen:
                    seen.add(thing)
                    yield thing


def _folders(path: Path) -> Iterator[tuple[Path, list[str]]]:
    if path.is_file():
        yield path.parent, [path.name]
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED)
        yield Path(folder), sorted(names)


def _in_folder(folder: Path, names: list[str], *, alone: bool) -> Iterator[tuple[Path, Callable[[Path], str]]]:
    if MANIFEST in names or DECISION in names:
        yield folder, check_run
    ends = [(name, end) for name in names for end in (FROZEN, LOG) if name.endswith(end) and name != FORECASTS]
    specs = {name.removesuffix(end) for name, end in ends}
    if alone:
        specs |= {name.removesuffix(".toml") for name in names if (folder / name).with_suffix(FROZEN).exists()}
    for stem in sorted(specs):
        yield folder / f"{stem}.toml", check_frozen if (folder / f"{stem}.toml").exists() else _lone_log
    if any(name == RECORD or (name.startswith("forecast_") and name.endswith(".json")) for name in names):
        yield folder, check_forecasts
    tables = [folder / name for name in names if name.endswith(".csv")]
    yield from ((table, check_reconstruction) for table in tables if _has_record(table.with_suffix(".json")))


def _has_record(path: Path) -> bool:
    """Whether a JSON file is the record of a reconstruction that can be checked: it holds hashes of what it is of."""
    if not path.is_file():
        return False
    try:
        content = read_json(path)
    except SmmBayesError:
        return False
    return content.get("provenance") == "reconstructed" and "sha256" in content


def _lone_log(spec: Path) -> str:
    entries = read_log(spec.with_suffix(LOG))
    raise SpecificationError(f"{spec}: has {len(entries)} entries on its log, but is not there; restore it")
