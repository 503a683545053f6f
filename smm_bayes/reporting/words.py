"""Sentences and small tables that a report opens with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.analysis.assumptions import Explained, explained
from smm_bayes.analysis.decision import Decision, Diagnostics, FitVerdict
from smm_bayes.analysis.interim import Interim, InterimInputs, describe_outcome
from smm_bayes.analysis.pinned import package_words
from smm_bayes.errors import SpecificationError
from smm_bayes.prediction.probability import Prediction
from smm_bayes.survival.summary import contraction, mostly_prior
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from smm_bayes.analysis.spec import AnalysisSpec
    from smm_bayes.evidence.consistency import Finding, KnownInconsistency
    from smm_bayes.evidence.made import Reconstructions
    from smm_bayes.evidence.pseudo import PseudoArm
    from smm_bayes.evidence.summaries import ArmSummary


NOISE = 2  # Monte Carlo errors within which a change cannot be told from 0
BY_INTERVAL = ("log_hazard", "log_baseline")


class Rows(list[tuple[str, str]]):
    """A table of label and value that prints in a terminal and shows as HTML in a notebook."""

    def __repr__(self) -> str:
        """Give one line a row."""
        width = max((len(label) for label, _ in self), default=0)
        return "\n".join(f"{label:<{width}}  {value}" for label, value in self)

    def _repr_html_(self) -> str:
        return markup.table(self)


def with_error(value: float, error: float | None, places: int = 3) -> str:
    """Give a change with its Monte Carlo error; one that is within two errors of 0 is said to be noise."""
    if error is None:
        return f"{value:+.{places}f}"
    noise = " (within Monte Carlo error of 0)" if abs(value) < NOISE * error else ""
    return f"{value:+.{places}f} ± {error:.{places}f}{noise}"


def convergence(found: Diagnostics) -> str:
    """Say whether the chains agree; whether the model describes the data is another question."""
    verdict = "converged" if found.passed else "DID NOT CONVERGE"
    return (f"{verdict}: R-hat at most {found.max_rhat:.3f}, effective sample size at least {found.min_ess_bulk:.0f} "
            f"(bulk) and {found.min_ess_tail:.0f} (tail), {found.divergences} divergences")  # fmt: skip


def fit_to_data(found: FitVerdict | None) -> str:
    """Say whether the model describes the data, and which part of it was compared with them."""
    if found is None:
        return "not checked"
    return f"{found.verdict}: {found.sentence} Compared: {found.checked}."


def condition_rows(decision: Decision) -> Rows:
    """The answer with everything that it holds under: what is due, its error, convergence, fit, who is lost."""
    error, within = decision.mcse, decision.mcse_within
    parts = "completed trials and posterior draws"
    if within is not None and decision.sources:
        parts += f" {within:.3f}; with reconstructions of earlier trials {error:.3f}"
    rows = Rows([("final analysis", decision.trigger)] if decision.trigger else [])
    rows += [
        ("probability of success", f"{decision.probability_of_success:.3f} (Monte Carlo error {error:.3f}: {parts})"),
        ("convergence", convergence(decision.diagnostics)), ("fit to the data", fit_to_data(decision.fit_check)),
        ("specification", decision.inputs.frozen),
    ]  # fmt: skip
    return Rows([*rows, *(("assumed", sentence) for sentence in decision.assumptions)])


def answer(interim: Interim) -> str:
    """Say the answer in a few sentences: what is due, the number, and whether it is to be used with caution."""
    decision = interim.decision
    sentence = (
        f"The probability that the final analysis succeeds is {decision.probability_of_success:.1%} "
        f"(Monte Carlo error {decision.mcse:.1%}), success being {decision.success_rule} "
        f"{decision.final_analysis}."
    )
    if decision.trigger:
        sentence = f"{decision.trigger} {sentence}"
    if decision.fit_check is not None and decision.fit_check.verdict != "passed":
        sentence += f" Use with caution: {decision.fit_check.sentence}"
    observed, fraction = decision.events.observed, decision.information_fraction
    so_far = f"{observed} counted events so far, information fraction {fraction:.0%}"
    ratio = decision.hazard_ratio
    if ratio is None:
        return f"{sentence} There are {so_far}."
    return (f"{sentence} The hazard ratio now is {ratio.median:.2f} (95 % credible interval {ratio.lower:.2f} "
            f"to {ratio.upper:.2f}), from {so_far}. Data: {decision.data}.")  # fmt: skip


def number_rows(spec: AnalysisSpec) -> Rows:
    """Every number of the plan with the published facts that it rests on, or why it is assumed."""
    return Rows((one.key, said_of(one)) for one in explained(spec))


def said_of(one: Explained) -> str:
    """Say what a number of the plan is, and what it rests on."""
    value = ", ".join(f"{part:g}" for part in one.value) if isinstance(one.value, tuple) else one.value
    parts = [str(value)]
    if one.facts:
        parts.append(f"published: {', '.join(one.facts)}")
    if one.argument:
        parts.append(f"assumed: {one.argument}")
    return "; ".join(parts if one.is_explained else [*parts, "NEITHER A FACT NOR AN ARGUMENT IS NAMED"])


def prior_rows(inputs: InterimInputs) -> Rows:
    """Every prior in words."""
    return Rows(inputs.model.statements().items())


def outcome_rows(interim: Interim) -> Rows | None:
    """Put what happened beside what was predicted, where the data already hold it."""
    happened = describe_outcome(interim.inputs)
    if happened is None:
        return None
    prediction = interim.prediction
    patients = prediction.patients
    success = "yes" if happened["success"] else "no"
    rows = Rows([("success", f"{success}; predicted probability {prediction.probability:.2f}")])
    for name, (middle, low, high) in prediction.intervals().items():
        if name not in happened or name == "date":
            continue
        arm, _, cause = name.partition(":")
        label = f"{cause}, {patients.arm_name(arm)}" if cause else "hazard ratio"
        places = 0 if cause else 2
        inside = "inside" if low <= happened[name] <= high else "OUTSIDE"
        seen, median, lower, upper = (f"{x:.{places}f}" for x in (happened[name], middle, low, high))
        rows.append((label, f"{seen}; predicted {median} ({lower} to {upper}): {inside} the 95 % interval"))
    return rows


def observed_statistic(interim: Interim) -> float | None:
    """Give the final hazard ratio (or, for one arm, the counted events) that happened, where it is known."""
    outcome = interim.inputs.outcome()
    if outcome is None:
        return None
    return float(outcome.hazard_ratio[0] if len(outcome.arms) > 1 else outcome.counted_events[0].sum())


def prior_survival(
    inputs: InterimInputs, time: np.ndarray, *, rng: np.random.Generator, draws: int = 1000
) -> np.ndarray:
    """Draw curves of the control (or only) arm's event-free survival from the prior, shape (draw, time)."""
    return inputs.model.law_of(inputs.model.prior(draws, rng=rng)).survival(time)[:, 0]


def agreement(draws: xr.DataArray, exact: np.ndarray) -> pd.DataFrame:
    """Posterior means beside exact ones; the last column is their difference in Monte Carlo errors.

    Parameters
    ----------
    draws : xarray.DataArray
        (chain, draw, ...).
    exact : numpy.ndarray
        Of the shape of one draw.
    """
    import arviz as az
    import pandas as pd

    mean, error = draws.mean(("chain", "draw")), az.mcse(draws, method="mean")
    columns = {"exact": mean.copy(data=exact), "posterior": mean, "mcse": error, "errors": (mean - exact) / error}
    return pd.DataFrame({name: values.to_series() for name, values in columns.items()})


def input_rows(decision: Decision) -> Rows:
    """Hashes, seed and versions."""
    inputs = decision.inputs
    rows = Rows((f"SHA-256 of {name}", value) for name, value in inputs.sha256.items())
    rows.append(("specification", inputs.frozen))
    rows.append(("fingerprint of the fit", decision.fingerprint))
    rows.append(("seed", str(inputs.seed)))
    rows.append(("package", package_words(inputs.package)))
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in inputs.versions.items())))
    evidence = "; ".join(f"{s.name} ({s.trust}): {s.source}" for s in decision.sources if s.source) or "none"
    rows.append(("outside evidence", evidence))
    return rows


def contraction_rows(interim: Interim, *, rng: np.random.Generator, draws: int = 20_000) -> Rows:
    """Say of every parameter how much the data taught: contraction, 1 − posterior variance / prior variance.

    Near 0 the answer is the prior's. Intervals that are mostly prior are named with the share of their log hazard's
    variance that is left of the prior's.
    """
    posterior = interim.fit.posterior
    prior = interim.inputs.model.prior(draws, rng=rng)
    rows = Rows()
    for name in [name for name in prior if name in posterior and name not in BY_INTERVAL]:
        values = posterior[name]
        left = contraction(values, prior[name]).values
        labels = [values.coords[dim].values for dim in values.dims[2:]]
        words = [f"{left[at]:.2f} {_bracketed(labels, at)}".rstrip() for at in np.ndindex(left.shape)]
        rows.append((f"contraction of {name.replace('_', ' ')}", "; ".join(words)))
    return Rows([*rows, *_mostly_prior(interim, prior)])


def mostly_prior_rows(interim: Interim, *, rng: np.random.Generator, draws: int = 20_000) -> Rows:
    """Name the intervals in which the data say little, with the share that is prior; nothing where there are none."""
    rows = _mostly_prior(interim, interim.inputs.model.prior(draws, rng=rng))
    return Rows([(label, words) for label, words in rows if words != "none"])


def _mostly_prior(interim: Interim, prior: dict[str, np.ndarray]) -> Rows:
    inputs = interim.inputs
    before = inputs.model.law_of(prior).marginal_log_hazard(inputs.spec.grid)
    log_hazard = interim.fit.posterior.get("log_hazard", interim.log_hazard)
    return Rows([
        (f"intervals mostly prior, {cause}", ", ".join(f"{label} {share:.2f}" for label, share in found) or "none")
        for cause, found in mostly_prior(log_hazard, before).items()
    ])  # fmt: skip


def _bracketed(labels: list[np.ndarray], at: tuple[int, ...]) -> str:
    said = ", ".join(str(values[i]) for values, i in zip(labels, at, strict=True))
    return f"({said})" if said else ""


def probability_table(predictions: Mapping[str, Prediction]) -> pd.DataFrame:
    """Probability of success of several predictions, with its Monte Carlo error."""
    import pandas as pd

    rows = {label: (prediction.probability, prediction.mcse) for label, prediction in predictions.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["probability", "mcse"])


def reconstruction_table(prediction: Prediction, reconstructions: int) -> pd.DataFrame:
    """Probability of success under each reconstruction of the earlier trials, with its own Monte Carlo error.

    Replicates are in the order of the chains, and every reconstruction has as many chains. It has a share 1/n of all
    draws, so its error is √n times that of the whole given the reconstructions.

    Raises
    ------
    SpecificationError
        When the replicates cannot be shared out evenly.
    """
    import pandas as pd

    if reconstructions < 1 or len(prediction.success) % reconstructions:
        raise SpecificationError(f"{len(prediction.success)} replicates cannot come from {reconstructions} "
                                 "reconstructions; give the number that was fitted")  # fmt: skip
    by_part = prediction.success.reshape(reconstructions, -1).mean(axis=1)
    index = pd.RangeIndex(1, reconstructions + 1, name="reconstruction")
    error = prediction.error_within * np.sqrt(reconstructions)
    return pd.DataFrame({"probability": by_part, "mcse": error}, index=index)


def spread(table: pd.DataFrame) -> float:
    """Standard deviation of a table's probabilities beyond their Monte Carlo error (moments; 0 where none is left)."""
    return float(np.sqrt(max(0.0, table["probability"].var() - (table["mcse"] ** 2).mean())))


def mrd_table(patients: Patients, months: Sequence[float]) -> pd.DataFrame:
    """MRD results by arm and planned assessment: patients assessed, negative, and their share.

    Parameters
    ----------
    patients : Patients
        With MRD assessments; without any, the counts are 0.
    months : sequence of float
        Planned times. A result belongs to the nearest, and a patient's last valid result there counts.
    """
    import pandas as pd

    columns = ("arm", "month", "patient", "negative")
    if patients.mrd is None:
        results = pd.DataFrame(columns=list(columns))
    else:
        mrd, planned = patients.mrd.take(patients.mrd.valid), np.asarray(months, float)
        order = np.argsort(mrd.time, kind="stable")
        nearest = np.abs(mrd.time[order, None] - planned).argmin(axis=1)
        arm = np.array(patients.arm_names, dtype=object)[patients.arm[mrd.row[order]]]
        values = (arm, planned[nearest], mrd.row[order], mrd.negative[order])
        results = pd.DataFrame(dict(zip(columns, values, strict=True))).drop_duplicates(list(columns[:3]), keep="last")
    groups = results.groupby(["arm", "month"])["negative"]
    index = pd.MultiIndex.from_product([patients.arm_names, months], names=["arm", "month"])
    counts = pd.DataFrame({"assessed": groups.size(), "negative": groups.sum()})
    counts = counts.reindex(index, fill_value=0).astype(int)
    return counts.assign(share=(counts["negative"] / counts["assessed"]).round(2))


def findings_table(findings: Sequence[Finding], known: Sequence[KnownInconsistency]) -> pd.DataFrame:
    """Put every finding beside its explanation; the explanation is empty where nobody has given one."""
    import pandas as pd

    answers = {(one.rule, frozenset(one.ids)): one.explanation for one in known}
    rows = [(one.rule, ", ".join(one.ids), one.words, answers.get((one.rule, frozenset(one.ids)), ""))
            for one in findings]  # fmt: skip
    return pd.DataFrame(rows, columns=["rule", "facts", "finding", "explanation"])


def milestone_ratio(control: ArmSummary, experimental: ArmSummary) -> float:
    """Hazard ratio that the last milestone both arms have implies if hazards are proportional: log S₁(t) / log S₀(t).

    NaN where the arms have no milestone at the same time, or one with survival 0 or 1.
    """
    at = {time: survival for time, survival, _ in control.milestones}
    pairs = [(at[time], survival) for time, survival, _ in experimental.milestones if time in at]
    if not pairs or not all(0 < survival < 1 for survival in pairs[-1]):
        return float("nan")
    return float(np.log(pairs[-1][1]) / np.log(pairs[-1][0]))


def ratio_table(made: Sequence[Reconstructions]) -> pd.DataFrame:
    """Published hazard ratios beside those that the milestones and the reconstructions give, one row a declaration.

    Parameters
    ----------
    made : sequence of Reconstructions
        Each of two arms; one without a published hazard ratio has NaN in its place.

    Returns
    -------
    pandas.DataFrame
        Columns ``published``, ``lower``, ``upper`` (its interval), ``milestones`` (:func:`milestone_ratio`), and the
        range over reconstructions: ``minimum``, ``5 %``, ``median``, ``95 %``, ``maximum``.
    """
    import pandas as pd

    rows = {}
    for one in made:
        declared, found = one.declaration, one.hazard_ratios
        if found is None:
            raise SpecificationError(f"{declared.name} has one arm and so no hazard ratio; leave it out")
        fact = declared.hazard_ratio
        printed = (None, None, None) if fact is None else (fact.value, fact.lower, fact.upper)
        implied = milestone_ratio(declared.summaries["control"], declared.summaries["experimental"])
        rows[declared.name] = (*printed, implied, found.minimum, found.lower, found.median, found.upper, found.maximum)
    columns = ["published", "lower", "upper", "milestones", "minimum", "5 %", "median", "95 %", "maximum"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype(float)


def events_between(arms: Sequence[PseudoArm], start: float, end: float) -> np.ndarray:
    """Events of the endpoint in (start, end] months, one number a reconstruction."""
    return np.array([int((arm.event & (arm.time > start) & (arm.time <= end)).sum()) for arm in arms])
