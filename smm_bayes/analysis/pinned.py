"""What a run was made from and what it consists of, pinned by SHA-256 and compared when the run is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.analysis.decision import Decision
from smm_bayes.analysis.decision_versions import read_decision
from smm_bayes.errors import DataError
from smm_bayes.evidence.trials import FOLDER
from smm_bayes.files import Pins, as_json, sealed, sha256, write_whole
from smm_bayes.inference.each import data_sets
from smm_bayes.prediction.monte_carlo import Layout, monte_carlo_error
from smm_bayes.reading import read_sealed

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.analysis.spec import AnalysisSpec

DECISION, POSTERIOR, REPORT, MANIFEST = "decision.json", "posterior.nc", "report", "manifest.json"
SEALED = (DECISION, POSTERIOR, f"{REPORT}.ipynb", f"{REPORT}.html")
OURS = frozenset({*SEALED, MANIFEST})
FACTS = "facts used"


def named(pins: Pins, spec: AnalysisSpec, snapshot: Path) -> dict[str, str]:
    """Give what was read the names it has in a decision: its role, else the file's name; never a path of a machine.

    Parameters
    ----------
    pins : Pins
        Of reading the inputs.
    spec : AnalysisSpec
    snapshot : pathlib.Path

    Returns
    -------
    dict of str to str
        SHA-256 by name. Facts are pinned by those that are used, not by the tables they stand in.
    """
    roles = {"snapshot": snapshot.resolve()}
    if spec.snapshot.mrd:
        roles["mrd"] = spec.file(spec.snapshot.mrd)
    for trial in spec.evidence.trial if spec.evidence else ():
        roles[f"evidence: {trial.name}"] = spec.file(trial.patients)
    found = {"spec": spec.sha256} | {role: pins.files[path] for role, path in roles.items() if path in pins.files}
    known = {*roles.values(), spec.path.resolve()}
    others = {path: digest for path, digest in sorted(pins.files.items())
              if path not in known and FOLDER.resolve() not in path.parents}  # fmt: skip
    names = [path.name for path in others]
    for path, digest in others.items():
        unique = names.count(path.name) == 1
        found[path.name if unique else Path(os.path.relpath(path, spec.path.parent)).as_posix()] = digest
    if pins.values:
        found[FACTS] = sha256(repr(sorted(pins.values.items())).encode())
    return found


def seal_folder(folder: Path, *, complete: bool, **more: Any) -> None:
    """Write ``manifest.json``: the hash of every file of a run, and a seal over them.

    Parameters
    ----------
    folder : pathlib.Path
    complete : bool
        Whether no further file belongs to it; the report is written after what it reports.
    more
        To be sealed with them.
    """
    files = {name: sha256((folder / name).read_bytes()) for name in SEALED if (folder / name).is_file()}
    write_whole(folder / MANIFEST, as_json(sealed({"schema_version": 1, "complete": complete, "files": files, **more})))


def check_folder(folder: Path) -> Decision:
    """Compare every file of a run with its manifest, and give the decision.

    Raises
    ------
    DataError
        When anything is missing, was added, or is not what the run wrote.
    """
    if not (folder / MANIFEST).is_file():
        what = "was made by an earlier version, or is damaged" if (folder / DECISION).is_file() else "holds no run"
        raise DataError(f"{folder}: has no {MANIFEST}, so it {what}; run the analysis anew")
    manifest = read_sealed(folder / MANIFEST)
    files, complete = manifest.get("files"), manifest.get("complete")
    if not isinstance(files, dict) or not isinstance(complete, bool):
        raise DataError(f"{folder}: {MANIFEST} is no manifest of a run; restore the folder, or run the analysis anew")
    there = {name: sha256((folder / name).read_bytes()) for name in SEALED if (folder / name).is_file()}
    expected = SEALED if complete else tuple(files)
    changed = [name for name in expected if there.get(name) != files.get(name)]
    if changed:
        raise DataError(f"{folder}: {listed(changed)} changed since the run ended; restore the folder, or run the "
                        "analysis anew")  # fmt: skip
    try:
        return read_decision((folder / DECISION).read_bytes())
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{folder}: {DECISION} is not of the schema of this version; run the analysis anew") from None


def check_inputs(
    folder: Path, decision: Decision, found: Mapping[str, str], package: Mapping[str, str]
) -> None:
    """Compare what a run was made from with what is there now.

    Parameters
    ----------
    folder : pathlib.Path
    decision : Decision
    found : mapping of str to str
        SHA-256 of the inputs by name, as :func:`named` gives them.
    package : mapping of str to str
        The package itself.

    Raises
    ------
    DataError
        Naming what differs.
    """
    stored = decision.inputs.sha256
    changed = [name for name in {**stored, **found} if stored.get(name) != found.get(name)]
    if changed:
        raise DataError(f"{folder}: made from other inputs than those given now ({listed(changed)}): they were "
                        "changed, or the run is of another analysis; restore them, or run it anew")  # fmt: skip
    then = decision.inputs.package
    if any(then.get(name) != package.get(name) for name in ("version", "source")):
        raise DataError(f"{folder}: made by {package_words(then)}, and this is {package_words(package)}; open it with "
                        "the former, or run the analysis anew")  # fmt: skip


def package_words(package: Mapping[str, str]) -> str:
    """Say which version of the package it is."""
    commit = f", commit {package['commit']}" if "commit" in package else ""
    source = f", source {package['source'][:12]}" if "source" in package else ""
    return f"smm-bayes {package.get('version', 'of an unknown version')}{commit}{source}"


def check_answer(folder: Path, decision: Decision, tree: xr.DataTree) -> None:
    """Recompute the answer from the stored simulated trials.

    Raises
    ------
    DataError
        When decision and simulated trials disagree.
    """
    stored, posterior = tree["prediction"].dataset, tree["posterior"].dataset
    success = stored["success"].values.astype(bool)
    sets = data_sets(posterior)
    layout = Layout.of(posterior.sizes["chain"], posterior.sizes["draw"], len(success), sets)
    again = {
        "probability_of_success": float(success.mean()),
        "mcse": monte_carlo_error(layout.by_draw(success).mean(axis=2), len(success), sets),
        "probability_reached": float(np.mean(stored["reached"].values)),
    }
    wrong = [name for name, value in again.items() if not np.isclose(getattr(decision, name), value, rtol=1e-9, atol=0)]
    words = {"seed": int(tree.attrs["seed"]), "fingerprint": str(tree.attrs["fingerprint"])}
    said = {"seed": decision.inputs.seed, "fingerprint": decision.fingerprint}
    wrong += [name for name, value in words.items() if said[name] != value]
    if wrong:
        raise DataError(f"{folder}: {DECISION} and {POSTERIOR} do not belong together ({listed(wrong)}); restore the "
                        "folder, or run the analysis anew")  # fmt: skip


def listed(names: Iterable[str]) -> str:
    """Name things in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
