"""What an interim analysis would do, in words, before anything is sampled."""

from __future__ import annotations

from collections import Counter
from textwrap import indent
from typing import Any

import numpy as np

from smm_bayes.analysis.assumptions import explained
from smm_bayes.analysis.conditions import assumptions
from smm_bayes.analysis.interim import InterimInputs
from smm_bayes.borrowing.trials.cohorts import Cohort
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.prediction.success import Combined, EventCount, HazardRatioProbability, LogRank, SuccessRule
from smm_bayes.reporting.words import Rows
from smm_bayes.surrogacy.visits.status import MISSING, NEGATIVE, POSITIVE
from smm_bayes.survival import Cure, Regression, Visits
from smm_bayes.trial.patients import Patients, say_reasons

EFFECTS = {
    "proportional": "one hazard ratio for each cause, the same at all times",
    "separate": "each arm has hazards of its own",
    "varying": "a hazard ratio for each cause that changes from interval to interval",
    "waning": "a hazard ratio for each cause that wanes after treatment",
}
BASELINES = {
    "smooth": "constant within each interval; neighbouring intervals are alike",
    "gamma": "constant within each interval, and independent",
}
PRIMARY = {
    "events": "events alone; answers with MRD stand beside it",
    "mrd": "with the patients' MRD",
    "surrogacy": "with the patients' MRD and surrogacy across trials",
}
STILL_TO_COME = "still to come"


def plan(inputs: InterimInputs) -> dict[str, Rows]:
    """Say by section what would be done with the inputs; what does not apply is not there."""
    parts = {
        "Specification": _specification(inputs),
        "Patients": _patients(inputs),
        "Model": _model(inputs),
        "Earlier trials": _earlier(inputs),
        "MRD": _mrd(inputs),
        "Final analysis": _final(inputs),
        "Prediction": _prediction(inputs),
    }
    for other in inputs.others:
        parts |= {f"{other.endpoint} ({other.status}): {heading}": rows for heading, rows in plan(other).items()
                  if heading not in ("Specification", "Prediction")}  # fmt: skip
    return {heading: rows for heading, rows in parts.items() if rows}


def printed_plan(inputs: InterimInputs) -> str:
    """Give what the command line prints of a plan."""
    return "\n\n".join(f"{heading}\n{indent(repr(rows), '  ')}" for heading, rows in plan(inputs).items())


def plan_as_json(inputs: InterimInputs) -> dict[str, Any]:
    """Give a plan for programs: numbers that are looked for, hashes of what was read, and the words."""
    patients = inputs.patients
    return {
        "specification": str(inputs.spec.path), "trial": inputs.spec.trial.name, "data": patients.provenance,
        "patients": {role: int((patients.arm == index).sum()) for index, role in enumerate(patients.arms)},
        "counted_events": inputs.observed_events, "planned_events": inputs.final.events,
        "data_cutoff": dict(patients.summary()).get("data cut-off"), "trigger": inputs.trigger or STILL_TO_COME,
        "frozen": inputs.frozen, "sha256": inputs.sha256,
        "plan": {heading: [list(row) for row in rows] for heading, rows in plan(inputs).items()},
    }  # fmt: skip


def _specification(inputs: InterimInputs) -> Rows:
    trial = inputs.spec.trial
    rows = Rows([("trial", trial.name)])
    rows += [(label, " ".join(said.split())) for label, said in (("title", trial.title), ("question", trial.question))
             if said]  # fmt: skip
    return Rows([*rows, ("frozen", inputs.frozen), ("numbers", _numbers(inputs))])


def _numbers(inputs: InterimInputs) -> str:
    """How many numbers of the plan rest on published facts, how many are assumed, and which on neither."""
    every = explained(inputs.spec)
    alone = [one.key for one in every if not one.is_explained]
    facts = sum(bool(one.facts) for one in every)
    said = f"{len(every)} in the plan: {facts} by published facts, {len(every) - facts - len(alone)} assumed"
    if not alone:
        return said
    first = ", ".join(alone[:3]) + (f" and {len(alone) - 3} more" if len(alone) > 3 else "")
    return f"{said}, {len(alone)} with neither ({first}): say why in [assumed], or name facts"


def _patients(inputs: InterimInputs) -> Rows:
    """Patients by arm and by what became of them, and how their table was read."""
    patients, section = inputs.patients, inputs.spec.snapshot
    rows = Rows([("table", f"{inputs.snapshot.name}, {patients.provenance} patients"),
                 ("endpoint", _endpoint(inputs))])  # fmt: skip
    rows += [(f"{patients.arm_names[index]} ({role})", _fates(patients, patients.arm == index))
             for index, role in enumerate(patients.arms)]  # fmt: skip
    said = dict(patients.summary())
    if section.cut_by_date is not None:
        rows.append(("table cut", f"to what was known on {section.cut_by_date}"))
    elif section.cut_by_events is not None:
        rows.append(("table cut", f"to what was known at {section.cut_by_events} events"))
    shown = ("median follow-up", "delayed entry", "data cut-off", "left out", "MRD assessments")
    return Rows([*rows, *((label, said[label]) for label in shown if label in said)])


def _endpoint(inputs: InterimInputs) -> str:
    """Which endpoint, which causes count, and which compete."""
    causes = inputs.patients.causes
    counted = inputs.spec.counted or causes
    competing = [cause for cause in causes if cause not in counted]
    said = f"{inputs.spec.snapshot.outcome}; the event is {' or '.join(counted)}"
    if competing:
        said += f"; {' and '.join(competing)} {'competes' if len(competing) == 1 else 'compete'}"
    return f"{said}; {inputs.patients.endpoint}" if inputs.patients.endpoint else said


def _fates(patients: Patients, mine: np.ndarray) -> str:
    """How many patients there are, and what became of them."""
    parts = [f"{name} {int((mine & (patients.cause == index)).sum())}" for index, name in enumerate(patients.causes)]
    reasons = say_reasons(patients.censoring[mine & ~patients.event])
    return f"{int(mine.sum())} patients: {', '.join([*parts, reasons] if reasons else parts)}"


def _model(inputs: InterimInputs) -> Rows:
    """Intervals, hazards, how the arms differ, and every prior in words."""
    section, grid = inputs.spec.model, inputs.spec.grid
    cuts = ", ".join(f"{cut:g}" for cut in grid.cuts)
    kinds = Rows() if section.kind == "survival" else Rows([("kind", _kind(inputs))])
    rows = Rows([*kinds, ("intervals", f"{len(grid)}, divided at months {cuts}" if cuts else "one"),
                 ("hazards", BASELINES[section.baseline])])  # fmt: skip
    if len(inputs.patients.arms) > 1:
        said = EFFECTS[section.effect] if section.baseline == "smooth" else EFFECTS["separate"]
        rows.append(("arms", f"{said}; ratios are {_versus(inputs.patients)}"))
    return Rows([*rows, *((f"prior: {label}", said) for label, said in prior_statements(inputs).items())])


def _kind(inputs: InterimInputs) -> str:
    """What the model is, beside hazards by arm."""
    model, section = inputs.model, inputs.spec.model
    if isinstance(model, Regression):
        names = [*model.table.covariate_names, *(f"subgroups of {factor.name}" for factor in model.table.factors)]
        own = [f"baselines of their own in {len(model.table.strata)} strata"] if section.strata else []
        return f"regression: {', '.join([*own, *names])}; {len(model.table)} rows of patients alike"
    if isinstance(model, Cure):
        return f"a share of each arm is cured of {model.table.curable}"
    if isinstance(model, Visits):
        return f"{model.visits.cause} is found at visits: {model.visits.schedule}"
    return section.kind


def prior_statements(inputs: InterimInputs) -> dict[str, str]:
    """Every prior in words, apart from those of MRD; a trial of one arm has no hazard ratio."""
    one_arm = len(inputs.patients.arms) < 2 and not isinstance(inputs.model, WithEarlierTrials)
    return {label: said for label, said in inputs.model.statements().items()
            if label != "borrowing" and not (one_arm and label.startswith("hazard ratio"))}  # fmt: skip


def _versus(patients: Patients) -> str:
    return " v ".join(reversed(patients.arm_names))


def _earlier(inputs: InterimInputs) -> Rows:
    """Each earlier trial with its regimens, what it saw and how far it is trusted; and how trials relate."""
    model, section = inputs.model, inputs.spec.evidence
    if not isinstance(model, WithEarlierTrials) or section is None:
        return Rows()
    rows = Rows()
    for source, trial in zip(model.sources, section.trial, strict=True):
        arms = [_arm(cohort) for cohort in model.trials[0].cohorts if cohort.trial == source.name]
        defined = "".join(f"; progression as in '{name}'" for name in dict.fromkeys(trial.endpoints.values()))
        defined += f"; patients of population '{trial.population}'" if trial.population else ""
        rows.append((source.name, f"{'; '.join(arms)}{defined}; {source.provenance}, trust: {source.trust}"))
    rows.append(("how they are related", model.statements()["borrowing"]))
    number = len(model.trials)
    if number > 1:
        rows.append(("reconstructions", f"{number} of each trial that is reconstructed; events above are of the first"))
    without = "it" if len(model.sources) == 1 else "each of them, and without all"
    rows.append(("left out in turn", f"the answer is given without {without} too"))
    return rows


def _arm(cohort: Cohort) -> str:
    counts = [f"{' or '.join(causes)} {int(events)}"
              for causes, events in zip(cohort.series, cohort.events.sum(axis=1), strict=True)]  # fmt: skip
    return f"{cohort.regimen}: {', '.join(counts)} in {cohort.exposure.sum():,.0f} patient-months"


def _mrd(inputs: InterimInputs) -> Rows:
    """Visits with their results, which answer is primary, and the priors that MRD adds."""
    joint, section = inputs.joint, inputs.spec.mrd
    if joint is None or section is None:
        return Rows()
    rows = Rows([("primary answer", PRIMARY[inputs.primary])])
    names = {NEGATIVE: "negative", POSITIVE: "not negative", MISSING: "missing"}
    for index, month in enumerate(section.visits):
        window = f"months {month - section.before:g} to {month + section.after:g}"
        for arm, name in enumerate(inputs.patients.arm_names):
            seen = Counter(joint.status.code[inputs.patients.arm == arm, index].tolist())
            other = sum(seen.values()) - sum(seen[code] for code in names)
            counts = ", ".join(f"{word} {seen[code]}" for code, word in names.items())
            rows.append((f"visit at {month:g} months, {name}", f"{counts}, not due {other} (results of {window})"))
    return Rows([*rows, *((f"prior: {label}", said) for label, said in joint.statements().items())])


def _final(inputs: InterimInputs) -> Rows:
    """When it is, what is known of its trigger, who is to come, and what success is."""
    final, patients, spec = inputs.final, inputs.patients, inputs.spec
    so_far = f"{inputs.observed_events} counted events so far"
    rows = Rows([("when", str(final)),
                 ("so far", f"{so_far} of {final.events}" if final.at == "events" else so_far),
                 ("trigger", inputs.trigger or STILL_TO_COME), ("enrolment", _enrolment(inputs))])  # fmt: skip
    followed = int((~patients.event & np.isin(patients.censoring, spec.prediction.complete)).sum())
    censored = "still followed" if spec.prediction.complete == ["administrative"] else (
        f"censored so far as {' or '.join(spec.prediction.complete)}")  # fmt: skip
    rows.append(("followed on", f"{followed} patients who are {censored}"))
    rows += [("assumed", said) for said in assumptions(inputs)]
    return Rows([*rows, ("success", success_in_words(spec.rule, patients))])


def _enrolment(inputs: InterimInputs) -> str:
    section, patients = inputs.spec.enrolment, inputs.patients
    if section is None:
        return "closed: nobody is to come"
    plan = inputs.spec.enrolment_plan()
    new = plan.new_arms(patients)
    by_arm = ", ".join(f"{int((new == index).sum())} {name}" for index, name in enumerate(patients.arm_names))
    return (f"{len(new)} patients to come ({by_arm}); the rate is that of this trial so far, with a prior of "
            f"{plan.prior_rate:g} a month worth {plan.prior_months:g} months")  # fmt: skip


def success_in_words(rule: SuccessRule, patients: Patients) -> str:
    """Give a success rule with its direction: which arm, or whether many or few events, it favours."""
    if isinstance(rule, Combined):
        return f"({success_in_words(rule.left, patients)}) {rule.how} ({success_in_words(rule.right, patients)})"
    if isinstance(rule, LogRank):
        return f"{rule}, in favour of {patients.arm_names[-1]} (experimental)"
    if isinstance(rule, HazardRatioProbability):
        return f"{rule}; the ratio is {_versus(patients)}, below 1 favours {patients.arm_names[-1]} (experimental)"
    if isinstance(rule, EventCount):
        few, many = np.isfinite(rule.at_most), rule.at_least > 0
        return str(rule) if few and many else f"{rule}: {'few' if few else 'many'} events are a success"
    return str(rule)


def _prediction(inputs: InterimInputs) -> Rows:
    """How many trials are completed, and the sampler's settings."""
    number, sampling = inputs.spec.prediction.replicates, inputs.spec.sampling
    return Rows([
        ("completed trials", f"{number:,}; the Monte Carlo error of a probability near 0.5 is "
                             f"{0.5 / np.sqrt(number):.3f} or more"),
        ("posterior", f"{sampling.chains} chains of {sampling.draws:,} draws after {sampling.tune:,} of tuning"),
    ])  # fmt: skip
