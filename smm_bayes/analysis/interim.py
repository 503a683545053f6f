"""The one pipeline from a specification to a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.hazards import HazardModel, WithEarlierTrials, hazard_model
from smm_bayes.analysis.snapshot import Snapshot
from smm_bayes.analysis.sources import Without, current_conflict, leave_each_out, source_entries
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import DataError, Problems, SpecificationError
from smm_bayes.inference.fingerprint import hash_file, versions
from smm_bayes.prediction.final import FinalAnalysis, FinalData
from smm_bayes.prediction.probability import Prediction, describe, probability_of_success
from smm_bayes.survival.grid import EventTable
from smm_bayes.trial.calendar import calendar_date
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.analysis.decision import Decision, Interval
    from smm_bayes.inference.sampling import Fit, FitProgress

PACKAGES = ("smm-bayes", "numpy", "pymc", "nutpie", "arviz", "numba")


@dataclass(frozen=True, eq=False)
class InterimInputs:
    """Validated inputs of an interim analysis: nothing that follows can fail for a reason a user could mend.

    Attributes
    ----------
    spec : AnalysisSpec
    source : Snapshot
        The table of patients.
    patients : Patients
        As known at the interim's data cut.
    final : FinalAnalysis
    model : OneTrial or WithEarlierTrials
    """

    spec: AnalysisSpec
    source: Snapshot
    patients: Patients
    final: FinalAnalysis
    model: HazardModel

    @property
    def snapshot(self) -> Path:
        """File of the patients."""
        return self.source.path

    @property
    def everyone(self) -> Patients:
        """The whole table."""
        return self.source.everyone

    @property
    def table(self) -> EventTable:
        """Events and exposure at the interim."""
        return self.spec.grid.tabulate(self.patients)

    @property
    def observed_events(self) -> int:
        """Counted events at the interim."""
        counted = self.final.counted(self.patients.causes)
        return int(counted[self.patients.cause[self.patients.event]].sum())

    def outcome(self) -> FinalData | None:
        """What the final analysis of these patients showed, where the table already holds it.

        Only for a final analysis on a date with enrolment closed: the same patients, cut at that date.
        """
        final, everyone = self.final, self.everyone
        if final.at != "date" or self.spec.enrolment or everyone.data_cutoff is None or final.date is None:
            return None
        if everyone.data_cutoff < final.date or everyone is self.patients:
            return None
        known = self.source.cut_by_date(final.date)
        same = known.take(np.isin(known.patient, self.patients.patient))
        return FinalData.of(same, final, self.spec.grid)


@dataclass(frozen=True, eq=False)
class Interim:
    """A finished interim analysis.

    Attributes
    ----------
    inputs : InterimInputs
    fit : Fit
    prediction : Prediction
    decision : Decision
    """

    inputs: InterimInputs
    fit: Fit
    prediction: Prediction
    decision: Decision

    @property
    def log_hazard(self) -> xr.DataArray:
        """Posterior draws of the log hazard."""
        return self.fit.posterior["log_hazard"]


def read_inputs(spec: str | Path | AnalysisSpec, snapshot: str | Path | None = None) -> InterimInputs:
    """Read and check specification and snapshot; nothing heavy is imported.

    Raises
    ------
    SpecificationError, DataError
        Naming every problem.
    """
    spec = spec if isinstance(spec, AnalysisSpec) else AnalysisSpec.load(spec)
    section = spec.snapshot
    path = Path(snapshot) if snapshot is not None else spec.file(section.table)
    source = Snapshot.read(spec, path)
    patients = source.everyone
    try:
        if section.cut_by_date is not None:
            patients = source.cut_by_date(section.cut_by_date)
        elif section.cut_by_events is not None:
            patients = source.cut_by_events(section.cut_by_events, *(spec.counted or ()))
    except DataError as error:
        raise DataError(f"{path}: snapshot.cut_by_{'events' if section.cut_by_events else 'date'}: {error}") from None
    problems = Problems(str(path))
    for index, role in enumerate(patients.arms):
        if not (patients.arm == index).any():
            problems.add(f"arm '{patients.arm_names[index]}' ({role}) has no patient at the data cut; cut later")
    if not patients.event.any():
        problems.add("no event at the data cut; an interim analysis needs at least one, so cut later")
    problems.raise_if_any()
    final = spec.final_analysis(patients)
    model = hazard_model(spec, spec.grid.tabulate(patients))
    inputs = InterimInputs(spec, source, patients, final, model)
    _check_plan(inputs)
    return inputs


def _check_plan(inputs: InterimInputs) -> None:
    """Plan a completion of one replicate, which checks that final analysis, enrolment and patients fit together."""
    from smm_bayes.prediction.completion import Completion

    spec = inputs.spec
    nothing = np.zeros((1, *inputs.table.events.shape))
    plan = Completion.plan(
        inputs.patients, nothing, spec.grid, np.zeros(1), final=inputs.final, enrolment=spec.enrolment_plan(),
        complete=tuple(spec.prediction.complete), dropout=spec.prediction.dropout, seed=0, final_grid=None,
    )  # fmt: skip
    total = len(inputs.patients) + len(plan.new_arms)
    if inputs.final.events is not None and inputs.final.events > total:
        raise SpecificationError(
            f"final.events is {inputs.final.events}, more than the {total} patients there will be; correct it, or plan "
            "more patients in enrolment.planned"
        )


def run_interim(
    inputs: InterimInputs,
    *,
    seed: int,
    workers: int = 1,
    on_fit: Callable[[FitProgress], None] | None = None,
    on_predict: Callable[[int, int], None] | None = None,
) -> Interim:
    """Fit, check convergence, predict.

    Parameters
    ----------
    inputs : InterimInputs
    seed : int
        The answer is the same for any number of workers.
    workers : int
        Threads that complete trials.
    on_fit, on_predict : callable, optional
        Told of progress.

    Raises
    ------
    ConvergenceError
        When the fit may not be used for a decision.
    """
    from smm_bayes.inference.each import fit_each

    sampling = inputs.spec.sampling
    settings = {"draws": sampling.draws, "tune": sampling.tune, "chains": sampling.chains}
    model = inputs.model.build()
    fitted = fit_each(model, inputs.model.data(), seed=seed, progress=on_fit, **settings).require_convergence()
    with ThreadPoolExecutor(workers) as pool:
        executor = pool if workers > 1 else None
        prediction = predict(inputs, fitted, seed=seed, executor=executor, progress=on_predict)
        without = {}
        if isinstance(inputs.model, WithEarlierTrials):
            complete = partial(predict, inputs, seed=seed, executor=executor)
            without = leave_each_out(inputs, model, seed=seed, predict=complete, settings=settings)
    return Interim(inputs, fitted, prediction, decide(inputs, fitted, prediction, without))


def predict(inputs: InterimInputs, fitted: Fit, *, seed: int, **options: object) -> Prediction:
    """Complete the trial from the posterior, as the specification says; ``options`` take the place of its settings."""
    spec = inputs.spec
    log_hazard = fitted.posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval").values
    settings = {"final": inputs.final, "rule": spec.rule, "enrolment": spec.enrolment_plan(),
                "complete": tuple(spec.prediction.complete), "dropout": spec.prediction.dropout,
                "replicates": spec.prediction.replicates, **options}  # fmt: skip
    return probability_of_success(inputs.patients, log_hazard, spec.grid, seed=seed, **settings)  # type: ignore[arg-type]


def decide(
    inputs: InterimInputs, fitted: Fit, prediction: Prediction, without: Mapping[str, Without] | None = None
) -> Decision:
    """Put the decision together; ``without`` are the analyses with a source left out, by its name."""
    from smm_bayes.analysis.decision import Decision, Diagnostics, Events, Inputs

    patients, final = inputs.patients, inputs.final
    observed = inputs.observed_events
    counted = prediction.counted_events
    planned = final.events if final.at == "events" else None
    convergence = fitted.convergence
    cutoff = None
    if patients.origin is not None and patients.data_cutoff is not None:
        cutoff = calendar_date(patients.data_cutoff, patients.origin).isoformat()
    hashes = {"spec": hash_file(inputs.spec.path), "snapshot": hash_file(inputs.snapshot)}
    if inputs.spec.snapshot.mrd:
        hashes["mrd"] = hash_file(inputs.spec.file(inputs.spec.snapshot.mrd))
    for trial in inputs.spec.evidence.trial if inputs.spec.evidence else ():
        hashes[f"evidence: {trial.name}"] = hash_file(inputs.spec.file(trial.file))
    return Decision(
        trial=inputs.spec.trial.name, data=patients.provenance, data_cutoff=cutoff,
        probability_of_success=prediction.probability, mcse=prediction.mcse, success_rule=str(prediction.rule),
        final_analysis=str(final), probability_reached=prediction.probability_reached,
        hazard_ratio=_current_hazard_ratio(inputs, fitted),
        events=Events(observed=observed, planned=planned, predicted=_interval(counted)),
        information_fraction=observed / (planned or float(np.mean(counted))),
        diagnostics=Diagnostics(max_rhat=convergence.max_rhat, min_ess_bulk=convergence.min_ess_bulk,
                                min_ess_tail=convergence.min_ess_tail, divergences=convergence.divergences,
                                passed=convergence.passed),
        sources=source_entries(inputs, fitted, without or {}, seed=fitted.seed),
        conflict=current_conflict(inputs, without or {}, seed=fitted.seed),
        inputs=Inputs(sha256=hashes, fingerprint=fitted.fingerprint, seed=fitted.seed, versions=versions(*PACKAGES)),
    )  # fmt: skip


def _current_hazard_ratio(inputs: InterimInputs, fitted: Fit) -> Interval | None:
    if len(inputs.patients.arms) < 2:
        return None
    from smm_bayes.survival.estimands import average_hazard_ratio

    counted = inputs.final.counted(inputs.patients.causes)
    names = tuple(cause for cause, counts in zip(inputs.patients.causes, counted, strict=True) if counts)
    weights = inputs.table.events[:, counted].sum(axis=(0, 1))
    ratio = average_hazard_ratio(fitted.posterior["log_hazard"], np.maximum(weights, 1e-9), names)
    return _interval(ratio.values.ravel())


def _interval(values: np.ndarray) -> Interval:
    from smm_bayes.analysis.decision import Interval

    median, lower, upper = (float(np.quantile(values, q)) for q in (0.5, 0.025, 0.975))
    return Interval(median=median, lower=lower, upper=upper)


def describe_outcome(inputs: InterimInputs) -> dict[str, float] | None:
    """What happened, in the columns of a prediction's replicates, with ``success``; None where it is not known."""
    outcome = inputs.outcome()
    if outcome is None:
        return None
    columns = {name: float(values[0]) for name, values in describe(outcome).items()}
    return {"success": float(inputs.spec.rule(outcome)[0]), **columns}
