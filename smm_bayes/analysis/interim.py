"""The one pipeline from a specification to a decision."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from smm_bayes.analysis.answers import Answers, answer_entries, primary_sources
from smm_bayes.analysis.assumptions import check_assumptions
from smm_bayes.analysis.conditions import assumptions, fit_verdict
from smm_bayes.analysis.endpoint_section import OtherEndpointSection
from smm_bayes.analysis.estimates import estimates
from smm_bayes.analysis.freeze import NOT_FROZEN, frozen_state
from smm_bayes.analysis.models import ByArm, HazardModel, model_of
from smm_bayes.analysis.mrd.model import WithMrd, joint_model_of
from smm_bayes.analysis.mrd.result import MrdAnalysis
from smm_bayes.analysis.mrd.sections import EVENTS
from smm_bayes.analysis.pinned import named
from smm_bayes.analysis.snapshot import Snapshot
from smm_bayes.analysis.sources import current_conflict, source_entries
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import DataError, Problems, SmmBayesError, SpecificationError
from smm_bayes.files import Pins, collecting
from smm_bayes.inference.fingerprint import machine, package_state, versions
from smm_bayes.interruption import in_one_sentence
from smm_bayes.prediction.final import FinalAnalysis, FinalData
from smm_bayes.prediction.probability import Prediction, describe
from smm_bayes.prediction.trigger import final_status, observed_events
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.law import Law
from smm_bayes.trial.calendar import calendar_date
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.analysis.decision import AnswerEntry, ConflictEntry, Decision, Interval, Source
    from smm_bayes.inference.sampling import Fit, FitProgress

Status = Literal["primary", "secondary", "exploratory"]
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
        Without patients' MRD.
    joint : WithMrd or None
        With it, where the specification says how.
    sha256 : dict of str to str
        Hash of everything that was read, by role or name.
    frozen : str
        Whether the specification is as it was frozen, and when.
    endpoint : str
        Its name.
    status : {"primary", "secondary", "exploratory"}
    others : tuple of InterimInputs
        Of the further endpoints, with the same patients and data cut.
    """

    spec: AnalysisSpec
    source: Snapshot
    patients: Patients
    final: FinalAnalysis
    model: HazardModel
    joint: WithMrd | None = None
    sha256: dict[str, str] = field(default_factory=dict)
    frozen: str = NOT_FROZEN
    endpoint: str = ""
    status: Status = "primary"
    others: tuple[InterimInputs, ...] = ()

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
        """Counted events at the interim, within the months that the final analysis follows everyone."""
        return observed_events(self.patients, self.final)

    @property
    def trigger(self) -> str:
        """What is known of the trigger of the final analysis already; empty where it is still to come."""
        complete = tuple(self.spec.prediction.complete)
        return final_status(self.patients, self.final, self.spec.enrolment_plan(), complete)

    @property
    def primary(self) -> str:
        """What the specification names as its answer."""
        return self.spec.mrd.primary if self.spec.mrd and self.joint else EVENTS

    def without_mrd(self) -> InterimInputs:
        """Give the same inputs without patients' MRD, and so without surrogacy: less is fitted, and events answer."""
        return replace(self, joint=None, others=tuple(one.without_mrd() for one in self.others))

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
        Those that the specification names as primary.
    decision : Decision
    mrd : MrdAnalysis or None
        With patients' MRD, where the specification says how.
    others : tuple of Interim
        Of the further endpoints.
    """

    inputs: InterimInputs
    fit: Fit
    prediction: Prediction
    decision: Decision
    mrd: MrdAnalysis | None = None
    others: tuple[Interim, ...] = ()

    @property
    def log_hazard(self) -> xr.DataArray:
        """Posterior draws of the log hazard of all patients of an arm."""
        return hazard_of_everyone(self.inputs, self.fit)


def read_inputs(spec: str | Path | AnalysisSpec, snapshot: str | Path | None = None) -> InterimInputs:
    """Read and check specification and snapshot; nothing heavy is imported.

    Raises
    ------
    SpecificationError, DataError
        Naming every problem.
    """
    with collecting() as pins:
        return _read(spec if isinstance(spec, AnalysisSpec) else AnalysisSpec.load(spec), snapshot, pins)


def _read(spec: AnalysisSpec, snapshot: str | Path | None, pins: Pins) -> InterimInputs:
    if spec.final.at == "primary":
        raise SpecificationError(f"{spec.path}: final.at = 'primary' is of a further endpoint; say when the final "
                                 "analysis of the primary one is")  # fmt: skip
    path = Path(snapshot) if snapshot is not None else spec.file(spec.snapshot.table)
    inputs = _read_endpoint(spec, path)
    others = tuple(_read_other(inputs, one, path) for one in spec.endpoint)
    return replace(inputs, others=others, sha256=named(pins, spec, path), frozen=frozen_state(spec),
                   endpoint=spec.snapshot.outcome)  # fmt: skip


def _read_other(primary: InterimInputs, section: OtherEndpointSection, path: Path) -> InterimInputs:
    """Read a further endpoint of the same patients, at the same data cut."""
    try:
        found = _read_endpoint(primary.spec.by_endpoint[section.name], path, primary)
        mine, theirs = found.patients, primary.patients
        with Problems(str(path)).collecting() as problems:
            missing = sorted(set(theirs.patient.tolist()) ^ set(mine.patient.tolist()))
            if missing:
                problems.add(f"{len(missing)} patients have a row of one endpoint only ({', '.join(missing[:3])}); the "
                             f"primary endpoint is of {len(theirs)}, this one of {len(mine)}")  # fmt: skip
            if (mine.origin, mine.data_cutoff) != (theirs.origin, theirs.data_cutoff):
                problems.add("the data cut-off is not that of the primary endpoint; state snapshot.data_cutoff")
    except SmmBayesError as error:
        raise type(error)(f"endpoint '{section.name}': {error}") from None
    return replace(found, endpoint=section.name, status=section.status)


def _read_endpoint(spec: AnalysisSpec, path: Path, primary: InterimInputs | None = None) -> InterimInputs:
    check_assumptions(spec)
    source = Snapshot.read(spec, path)
    patients = _cut(spec, source, path) if primary is None else _cut_like(source, primary)
    problems = Problems(str(path))
    for index, role in enumerate(patients.arms):
        if not (patients.arm == index).any():
            problems.add(f"arm '{patients.arm_names[index]}' ({role}) has no patient at the data cut; cut later")
    if not patients.event.any():
        problems.add("no event at the data cut; an interim analysis needs at least one, so cut later")
    problems.raise_if_any()
    final = spec.final_analysis(patients)
    model = model_of(spec, patients)
    joint = joint_model_of(spec, patients, model) if isinstance(model, ByArm) else None
    inputs = InterimInputs(spec, source, patients, final, model, joint)
    _check_plan(inputs)
    return inputs


def _cut(spec: AnalysisSpec, source: Snapshot, path: Path) -> Patients:
    """Give the patients as known at the data cut of the specification."""
    section = spec.snapshot
    try:
        if section.cut_by_date is not None:
            return source.cut_by_date(section.cut_by_date)
        if section.cut_by_events is not None:
            return source.cut_by_events(section.cut_by_events, *(spec.counted or ()))
    except DataError as error:
        raise DataError(f"{path}: snapshot.cut_by_{'events' if section.cut_by_events else 'date'}: {error}") from None
    return source.everyone


def _cut_like(source: Snapshot, primary: InterimInputs) -> Patients:
    """Give the patients as known when the primary endpoint's were."""
    if primary.patients is primary.everyone:
        return source.everyone
    cutoff = primary.patients.data_cutoff
    assert cutoff is not None
    return source.cut_by_date(cutoff)


def _check_plan(inputs: InterimInputs) -> None:
    """Plan a completion of one replicate, which checks that final analysis, enrolment and patients fit together."""
    from smm_bayes.prediction.completion import Completion

    spec = inputs.spec
    table = inputs.table
    nothing = Law.plain(np.zeros((1, *table.events.shape)), spec.grid, table.arms, table.causes)
    Completion.plan(
        inputs.patients, nothing, np.zeros(1), final=inputs.final, enrolment=spec.enrolment_plan(),
        complete=tuple(spec.prediction.complete), dropout=spec.prediction.dropout, seed=0,
    )  # fmt: skip


@in_one_sentence("The interim analysis was interrupted; there is no result of it.")
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
    with ThreadPoolExecutor(workers) as pool:
        found: list[Interim] = []
        for one in (inputs, *inputs.others):
            dates = found[0].prediction.columns["date"] if one.final.at == "primary" else None
            answers = Answers(one, seed, pool if workers > 1 else None, on_fit, on_predict, dates)
            answers.prepare()
            found.append(_finished(one, answers, answer_entries(one, answers)))
    return together(*found)


def together(primary: Interim, *others: Interim) -> Interim:
    """Put the further endpoints into the analysis of the primary one, and into its decision."""
    results = [other.decision.result for other in others]
    return replace(primary, decision=primary.decision.model_copy(update={"endpoints": results}), others=others)


def _finished(inputs: InterimInputs, answers: Answers, entries: list[AnswerEntry]) -> Interim:
    """Put the analysis together from its answers."""
    from smm_bayes.analysis.sensitivity.rows import Sensitivity

    primary = answers.of(primary_sources(inputs))
    assert primary.prediction is not None
    mrd = MrdAnalysis.of(inputs, answers)
    decision = decide(inputs, primary.fit, primary.prediction, source_entries(inputs, answers),
                      current_conflict(inputs, answers), entries, mrd)  # fmt: skip
    if inputs.status == "primary":
        rows = Sensitivity(inputs, answers).entries(entries, decision.mrd)
        decision = decision.model_copy(update={"sensitivity": rows})
    return Interim(inputs, primary.fit, primary.prediction, decision, mrd)


def law_of_everyone(inputs: InterimInputs, fitted: Fit) -> Law:
    """Law of time and cause of event of all patients of an arm, from the primary fit."""
    model = inputs.model if inputs.joint is None or inputs.primary == EVENTS else inputs.joint
    return model.law(fitted.posterior)


def hazard_of_everyone(inputs: InterimInputs, fitted: Fit) -> xr.DataArray:
    """Log hazard of all patients of an arm (chain, draw, arm, cause, interval) from the primary fit."""
    from smm_bayes.survival.summary import labelled

    law, posterior = law_of_everyone(inputs, fitted), fitted.posterior
    coords = {"chain": posterior["chain"].values, "draw": posterior["draw"].values, "arm": list(law.arms),
              "cause": list(law.causes), "interval": list(inputs.spec.grid.labels)}  # fmt: skip
    return labelled(law.marginal_log_hazard(inputs.spec.grid), coords, "log_hazard")


def decide(
    inputs: InterimInputs, fitted: Fit, prediction: Prediction, sources: list[Source] | None = None,
    conflict: list[ConflictEntry] | None = None, answers: list[AnswerEntry] | None = None,
    mrd: MrdAnalysis | None = None,
) -> Decision:  # fmt: skip
    """Put the decision together from the primary fit and prediction, and what was found beside it."""
    from smm_bayes.analysis.decision import Decision, Events, Inputs
    from smm_bayes.analysis.mrd.result import diagnostics, interval, mrd_result

    patients, final, section = inputs.patients, inputs.final, inputs.spec.mrd
    observed = inputs.observed_events
    counted = prediction.counted_events
    planned = final.events if final.at == "events" else None
    cutoff = None
    if patients.origin is not None and patients.data_cutoff is not None:
        cutoff = calendar_date(patients.data_cutoff, patients.origin).isoformat()
    return Decision(
        trial=inputs.spec.trial.name, data=patients.provenance, data_cutoff=cutoff,
        endpoint=inputs.endpoint, status=inputs.status, fingerprint=fitted.fingerprint,
        probability_of_success=prediction.probability, mcse=prediction.mcse, mcse_within=prediction.error_within,
        trigger=prediction.trigger, assumptions=assumptions(inputs),
        fit_check=fit_verdict(inputs, hazard_of_everyone(inputs, fitted), seed=fitted.seed),
        success_rule=str(prediction.rule), final_analysis=str(final),
        probability_reached=prediction.probability_reached,
        hazard_ratio=_current_hazard_ratio(inputs, fitted),
        events=Events(observed=observed, planned=planned, predicted=interval(counted)),
        information_fraction=observed / (planned or float(np.mean(counted))),
        diagnostics=diagnostics(fitted),
        estimates=estimates(inputs.spec.estimand, law_of_everyone(inputs, fitted), patients,
                            final.counted(patients.causes)),
        sources=source_entries(inputs) if sources is None else sources, conflict=conflict or [], answers=answers or [],
        mrd=mrd_result(mrd, inputs.spec.tipping, section.milestone if section else None) if mrd else None,
        inputs=Inputs(sha256=inputs.sha256, frozen=inputs.frozen, package=package_state(), machine=machine(),
                      seed=fitted.seed, versions=versions(*PACKAGES)),
    )  # fmt: skip


def _current_hazard_ratio(inputs: InterimInputs, fitted: Fit) -> Interval | None:
    if len(inputs.patients.arms) < 2:
        return None
    from smm_bayes.analysis.mrd.result import interval
    from smm_bayes.survival.estimands import Estimands

    counted = inputs.final.counted(inputs.patients.causes)
    names = tuple(cause for cause, counts in zip(inputs.patients.causes, counted, strict=True) if counts)
    weights = inputs.table.events[:, counted].sum(axis=(0, 1))
    law = Law.of_draws(hazard_of_everyone(inputs, fitted), inputs.spec.grid)
    ratio = Estimands(law, causes=names, extrapolate=True).average_hazard_ratio(np.maximum(weights, 1e-9))
    return interval(ratio.values)


def describe_outcome(inputs: InterimInputs) -> dict[str, float] | None:
    """What happened, in the columns of a prediction's replicates, with ``success``; None where it is not known."""
    outcome = inputs.outcome()
    if outcome is None:
        return None
    columns = {name: float(values[0]) for name, values in describe(outcome).items()}
    return {"success": float(inputs.spec.rule(outcome)[0]), **columns}
