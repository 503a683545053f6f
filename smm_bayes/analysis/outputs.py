"""Writing the results of an interim analysis, whole or not at all, and reading them back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.answers import PATIENTS_MRD, RELATION, TRIAL, Answer, earlier_trials, weigh
from smm_bayes.analysis.decision import Decision
from smm_bayes.analysis.folder import resolved
from smm_bayes.analysis.folder import whole_folder as whole_folder
from smm_bayes.analysis.interim import Interim, InterimInputs, read_inputs, run_interim
from smm_bayes.analysis.mrd.result import MrdAnalysis
from smm_bayes.analysis.pinned import (
    DECISION,
    OURS,
    POSTERIOR,
    check_answer,
    check_folder,
    check_inputs,
    seal_folder,
)
from smm_bayes.errors import OutputError, SpecificationError
from smm_bayes.inference.convergence import Convergence
from smm_bayes.inference.each import data_sets
from smm_bayes.inference.fingerprint import package_state
from smm_bayes.inference.sampling import Attempt, Fit
from smm_bayes.prediction.monte_carlo import Layout
from smm_bayes.prediction.result import Prediction

if TYPE_CHECKING:
    import xarray as xr

OTHERS = "endpoints"  # group of the further endpoints, each a tree like this one
BESIDE = (OTHERS, "prediction", "mrd_posterior", "mrd_prediction")  # groups that are not of the primary fit


def check_out(out: Path) -> None:
    """Refuse an output folder that could not be replaced, or holds something else than earlier results.

    Raises
    ------
    SpecificationError
    """
    resolved(out)
    if out.is_dir():
        foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in OURS)
        if foreign:
            raise SpecificationError(
                f"--out {out} holds other files ({', '.join(foreign[:3])}); give a new folder, so that nothing is lost"
            )
    elif out.exists():
        raise SpecificationError(f"--out {out} is a file; give a folder")


def save(interim: Interim, folder: Path) -> None:
    """Write ``decision.json``, ``posterior.nc`` (posterior, simulated trials and convergence) and their manifest.

    Raises
    ------
    OutputError
        When the system does not let them be written.
    """
    try:
        (folder / DECISION).write_text(interim.decision.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _tree(interim).to_netcdf(folder / POSTERIOR, engine="h5netcdf")
        seal_folder(folder, complete=False)
    except OSError as error:
        raise OutputError(f"the results could not be written ({error.strerror or error}); nothing was") from None


def _tree(interim: Interim) -> xr.DataTree:
    import xarray as xr

    tree = interim.fit.data.copy()
    tree["prediction"] = xr.DataTree(_replicates(interim.prediction))
    if interim.mrd is not None:
        tree["mrd_posterior"] = xr.DataTree(interim.mrd.fit.posterior)
        tree["mrd_prediction"] = xr.DataTree(_replicates(interim.mrd.prediction))
    for number, other in enumerate(interim.others):
        tree[f"{OTHERS}/{number}"] = _tree(other)
    tree.attrs = {
        "seed": interim.fit.seed,
        "fingerprint": interim.fit.fingerprint,
        "worst": interim.fit.convergence.worst,
        "attempts": [f"{a.target_accept} {a.tune} {a.draws}" for a in interim.fit.attempts],
    }
    return tree


def _replicates(prediction: Prediction) -> xr.Dataset:
    """Simulated trials, one a row, with their share of success."""
    import xarray as xr

    columns = {"success": prediction.success, **prediction.columns}
    shares = {"probability": prediction.probability, "mcse": prediction.mcse}
    return xr.Dataset({quoted(name): ("replicate", values) for name, values in columns.items()}, attrs=shares)


def quoted(name: str) -> str:
    """Give a name without slashes, which NetCDF takes for groups; :func:`unquoted` gives it back.

    >>> quoted("control:relapse/death")
    'control:relapse%2Fdeath'
    """
    return name.replace("%", "%25").replace("/", "%2F")


def unquoted(name: str) -> str:
    """Undo :func:`quoted`."""
    return name.replace("%2F", "/").replace("%25", "%")


def load(inputs: InterimInputs, folder: Path) -> Interim:
    """Read back what :func:`save` wrote, and check that nothing was changed since, the inputs included.

    Raises
    ------
    DataError
        In one sentence, when the folder is damaged, or of other inputs or another version of the package.
    """
    import xarray as xr

    decision = check_folder(folder)
    check_inputs(folder, decision, inputs.sha256, package_state())
    with xr.open_datatree(folder / POSTERIOR, engine="h5netcdf") as stored:
        tree = stored.load()
    others = [_loaded(one, folder, decision.of(one.endpoint), tree.children[OTHERS].children[str(number)])
              for number, one in enumerate(inputs.others)]  # fmt: skip
    return replace(_loaded(inputs, folder, decision, tree), others=tuple(others))


def _loaded(inputs: InterimInputs, folder: Path, decision: Decision, tree: xr.DataTree) -> Interim:
    """Put the analysis of one endpoint together again."""
    import xarray as xr

    check_answer(folder, decision, tree)
    attrs = tree.attrs
    words = [str(word).split() for word in np.atleast_1d(attrs["attempts"])]
    attempts = tuple(Attempt(float(a), int(b), int(c)) for a, b, c in words)
    shown = decision.diagnostics
    convergence = Convergence(shown.max_rhat, shown.min_ess_bulk, shown.min_ess_tail, shown.divergences, attrs["worst"])
    seed = int(attrs["seed"])
    groups = {name: tree[name].dataset for name in tree.children if name not in BESIDE}
    fitted = Fit(xr.DataTree.from_dict(groups), convergence, attempts, seed, attrs["fingerprint"])
    prediction = _prediction(inputs, tree["prediction"].dataset, fitted.posterior, seed)
    mrd = None
    if inputs.joint is not None and decision.mrd is not None:
        mrd = _mrd(inputs, decision, tree, seed)
    return Interim(inputs, fitted, prediction, decision, mrd)


def _prediction(inputs: InterimInputs, stored: xr.Dataset, posterior: xr.Dataset, seed: int) -> Prediction:
    columns = {unquoted(str(name)): values.values for name, values in stored.data_vars.items()}
    success = columns.pop("success").astype(bool)
    layout = Layout.of(posterior.sizes["chain"], posterior.sizes["draw"], len(success), data_sets(posterior))
    return Prediction(float(stored.attrs["probability"]), float(stored.attrs["mcse"]), success, columns,
                      inputs.spec.rule, inputs.final, inputs.patients, layout, seed, inputs.trigger)  # fmt: skip


def _mrd(inputs: InterimInputs, decision: Decision, tree: xr.DataTree, seed: int) -> MrdAnalysis:
    """Put the analysis with MRD together again; weights of the relation across trials are computed anew."""
    import xarray as xr

    assert inputs.joint is not None
    assert decision.mrd is not None
    posterior, shown = tree["mrd_posterior"].dataset, decision.mrd.diagnostics
    convergence = Convergence(shown.max_rhat, shown.min_ess_bulk, shown.min_ess_tail, shown.divergences, "")
    fitted = Fit(xr.DataTree.from_dict({"posterior": posterior}), convergence, (), seed, "")
    prediction = _prediction(inputs, tree["mrd_prediction"].dataset, posterior, seed)
    alone = Answer(frozenset([TRIAL, *earlier_trials(inputs), PATIENTS_MRD]), inputs.joint, fitted, prediction)
    related = None
    if inputs.joint.factor is not None:
        related = replace(alone, sources=alone.sources | {RELATION}, weighted=weigh(alone))
    return MrdAnalysis(inputs.joint, alone, related)


def open_interim(
    spec: str | Path, run: str | Path | None = None, *, snapshot: str | Path | None = None, seed: int
) -> Interim:
    """Open a finished interim analysis, or run it when there is none.

    Parameters
    ----------
    spec : path
    run : path, optional
        Folder with an earlier run's results; without it the analysis is run now.
    snapshot : path, optional
        Instead of the specification's.
    seed : int
        For a run now.

    Raises
    ------
    DataError
        When the folder is damaged, or of other inputs or another version of the package.

    Examples
    --------
    >>> import smm_bayes as smm
    >>> interim = smm.open_interim("models/mytrial/spec.toml", "results", seed=1)  # doctest: +SKIP
    >>> smm.open_interim("no_such_trial/spec.toml", seed=1)
    Traceback (most recent call last):
        ...
    smm_bayes.errors.SpecificationError: no_such_trial/spec.toml: there is no such file; give the path of a spec.toml
    """
    inputs = read_inputs(spec, snapshot or None)
    return load(inputs, Path(run)) if run else run_interim(inputs, seed=seed)
