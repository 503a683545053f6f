"""Forecasts put on record: from reconstructed patients what a later data cut will show, stored once and never edited.

``python -m smm_bayes.analysis.forecast models/NAME`` reads ``forecast.toml`` and writes ``forecast.json`` beside it.
With ``--because REASON`` a further record (``forecast_2.json``) is written beside the earlier ones, which stay.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from smm_bayes.analysis.forecast_log import enter, vouch
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.sections import Date, LogNormalSection, Number, Section, Whole, Word
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.errors import ConvergenceError, Problems, SmmBayesError, SpecificationError
from smm_bayes.evidence.facts import load_facts
from smm_bayes.evidence.made import read_reconstructions
from smm_bayes.files import Pins, as_json, collecting, sealed, write_whole
from smm_bayes.inference.fingerprint import versions
from smm_bayes.prediction.final import FinalAnalysis
from smm_bayes.prediction.probability import probability_of_success
from smm_bayes.prediction.success import EventCount
from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior, SmoothnessPrior
from smm_bayes.reading import read_sealed, read_toml
from smm_bayes.results import Result
from smm_bayes.survival.effects import EFFECTS
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.trial.calendar import calendar_time
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd

STRUCTURES = ("proportional", "separate")
LEVELS = (0.5, 0.8, 0.95)
DECLARED, STORED = "forecast.toml", "forecast.json"
ROW = ("outcome", "horizon", "quantity", "hazards", "median")  # of a table, before its intervals


class Forecast(Result, dict[str, Any]):
    """A forecast as it stands on record: the content of its file, by name."""

    def table(self, happened: Mapping[tuple[str, str], float] | None = None) -> pd.DataFrame:
        """Give a row a quantity; with what happened, whether each interval holds it.

        Parameters
        ----------
        happened : mapping of (outcome, quantity) to float, optional
        """
        import pandas as pd

        rows = []
        for entry in self["quantities"]:
            row = {name: entry[name] for name in ROW if name in entry}
            seen = (happened or {}).get((entry["outcome"], entry["quantity"]))
            if seen is not None:
                row["happened"] = seen
            for level, (low, high) in entry["intervals"].items():
                row[f"{float(level):.0%}"] = f"{low:.3g} to {high:.3g}"
                if seen is not None:
                    row[f"in {float(level):.0%}"] = bool(low <= seen <= high)
            rows.append(row)
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """Say when it was made, of how many quantities, and its seal."""
        because = f", because {self['because']}" if self.get("because") else ""
        seal = f"seal {self['seal'][:16]}" if "seal" in self else "not sealed"
        return f"Forecast made {self.get('made', 'now')} of {len(self['quantities'])} quantities{because}; {seal}."

    def __repr__(self) -> str:
        return self.summary()


class OutcomeSection(Section):
    """One endpoint: its reconstructed patients, model and priors."""

    name: Word
    file: Word
    counted: list[Word]
    cuts: list[Number]
    arms: dict[Literal["control", "experimental"], Word]
    baseline: dict[Word, LogNormalSection]
    hazard_ratio: dict[Word, LogNormalSection]
    fold_change: Annotated[Number, Field(gt=1)]

    def priors(self, effect: str) -> SurvivalPriors:
        """Priors of the model with proportional or separate hazards."""
        return SurvivalPriors(
            {cause: BaselinePrior(p.median, p.upper) for cause, p in self.baseline.items()},
            {cause: HazardRatioPrior(p.median, p.upper) for cause, p in self.hazard_ratio.items()},
            SmoothnessPrior(self.fold_change), EFFECTS[effect](),
        )  # fmt: skip


class RateSection(Section):
    """A rate of the trial to come, from one earlier study."""

    name: Word
    fact: Word
    between_trials: Annotated[Number, Field(ge=0)]


class HistorySection(Section):
    """What earlier trials alone say of the current one: a forecast before any of its patients."""

    schema_version: Literal[1]
    seed: Whole
    spec: Word
    month: Annotated[Number, Field(gt=0)]
    rate: list[RateSection] = Field(default_factory=list)


class ForecastSection(Section):
    """A forecast as its file declares it."""

    schema_version: Literal[1]
    seed: Whole
    replicates: Annotated[Whole, Field(ge=1000)]
    first_enrolment: Date
    horizons: Annotated[dict[Word, Date], Field(min_length=1)]
    outcome: Annotated[list[OutcomeSection], Field(min_length=1)]


def load_forecast(folder: str | Path) -> ForecastSection | HistorySection:
    """Read and validate ``forecast.toml`` of a folder: of a later data cut, or (with ``spec``) from history alone.

    Raises
    ------
    SpecificationError
        Naming every problem.
    """
    path = Path(folder) / DECLARED
    content = read_toml(path, SpecificationError, what="a forecast.toml")
    problems = Problems(str(path), SpecificationError)
    try:
        return (HistorySection if "spec" in content else ForecastSection).model_validate(content)
    except ValidationError as error:
        for found in error.errors():
            problems.add(f"{'.'.join(map(str, found['loc']))}: {found['msg'].removeprefix('Value error, ')}")
    problems.raise_if_any()
    raise AssertionError  # a validation error names at least one problem


def predictive_columns(
    patients: Sequence[Patients],
    outcome: OutcomeSection,
    effect: str,
    horizons: Mapping[str, float],
    *,
    seed: int,
    replicates: int,
    say: Callable[[str], None] = print,
) -> dict[str, dict[str, np.ndarray]]:
    """Fit every reconstruction and complete its trial up to every horizon.

    Parameters
    ----------
    patients : sequence of Patients
        One a reconstruction.
    outcome : OutcomeSection
    effect : str
        ``proportional`` or ``separate``.
    horizons : mapping of str to float
        Calendar months since the first enrolment.
    seed, replicates : int
        Replicates over all reconstructions.
    say : callable
        Told of progress.

    Returns
    -------
    dict of str to dict of str to numpy.ndarray
        By horizon and quantity, shape (reconstruction, replicate). The hazard ratio is the maximum-likelihood
        estimate of the completed trial on the model's intervals.

    Raises
    ------
    ConvergenceError
        When a fit may not be used.
    """
    from smm_bayes.inference.sampling import fit
    from smm_bayes.survival.model import model_data, piecewise_exponential_model

    grid, priors = TimeGrid(outcome.cuts), outcome.priors(effect)
    model = piecewise_exponential_model(grid.tabulate(patients[0]), priors)
    found: dict[str, dict[str, list[np.ndarray]]] = {name: {} for name in horizons}
    for number, one in enumerate(patients):
        fitted = fit(model, seed=seed + number, data=model_data(grid.tabulate(one), priors)).require_convergence()
        law = Law.of_draws(fitted.posterior["log_hazard"], grid)
        for horizon, month in horizons.items():
            final = FinalAnalysis("date", date=month, causes=tuple(outcome.counted))
            predicted = probability_of_success(
                replace(one, data_cutoff=min(one.data_cutoff or month, month)), law, final=final,
                rule=EventCount(at_least=1), seed=seed + number, replicates=-(-replicates // len(patients)),
            )  # fmt: skip
            columns = {"hazard_ratio": predicted.columns["hazard_ratio"]}
            for arm in one.arms:
                for cause in outcome.counted:
                    columns[f"{cause}, {outcome.arms[arm]}"] = predicted.columns[f"{arm}:{cause}"]  # type: ignore[index]
            for name, values in columns.items():
                found[horizon].setdefault(name, []).append(values)
        say(f"{outcome.name}, {effect} hazards: reconstruction {number + 1} of {len(patients)}")
    return {horizon: {name: np.array(values) for name, values in by.items()} for horizon, by in found.items()}


def summarise(values: np.ndarray) -> dict[str, Any]:
    """Median, mean and 50, 80 and 95 % intervals, and how much of the variance lies between reconstructions.

    Parameters
    ----------
    values : numpy.ndarray, shape (reconstruction, replicate)

    Returns
    -------
    dict
        ``mcse_of_mean`` is between reconstructions: it counts how few they are. The share of variance between them is
        that of their means, less what replicates alone would give.
    """
    between = values.mean(axis=1).var(ddof=1) if len(values) > 1 else 0.0
    within = values.var(axis=1, ddof=1).mean()
    spread = float(values.mean(axis=1).std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    intervals = {
        f"{level:g}": [float(np.quantile(values, q, method="inverted_cdf")) for q in ((1 - level) / 2, (1 + level) / 2)]
        for level in LEVELS
    }
    return {
        "median": float(np.median(values)), "mean": float(values.mean()), "mcse_of_mean": spread,
        "intervals": intervals,
        "share_of_variance_between_reconstructions": float(max(between - within / values.shape[1], 0.0)
                                                           / max(between + within, 1e-12)),
    }  # fmt: skip


def make_forecast(folder: str | Path, *, say: Callable[[str], None] = print) -> Forecast:
    """Compute the forecast that ``forecast.toml`` of a folder declares, with the hash of what it holds."""
    with collecting() as pins:
        return Forecast(_made(Path(folder), pins, say))


def _made(folder: Path, pins: Pins, say: Callable[[str], None]) -> dict[str, Any]:
    declared = load_forecast(folder)
    if isinstance(declared, HistorySection):
        return _from_history(folder, declared, pins)
    horizons = {name: calendar_time(date, declared.first_enrolment) for name, date in declared.horizons.items()}
    quantities, hashes = [], {DECLARED: _pin(pins, folder / DECLARED)}
    for outcome in declared.outcome:
        file = folder / outcome.file
        patients = read_reconstructions(file, arms={str(role): name for role, name in outcome.arms.items()})
        hashes[file.name] = _pin(pins, file)
        for effect in STRUCTURES:
            found = predictive_columns(patients, outcome, effect, horizons, seed=declared.seed,
                                       replicates=declared.replicates, say=say)  # fmt: skip
            for horizon, columns in found.items():
                said = {"outcome": outcome.name, "hazards": effect, "horizon": horizon}
                quantities += [{**said, "quantity": name, **summarise(values)} for name, values in columns.items()]
    return sealed({
        "schema_version": 1, "made": datetime.date.today().isoformat(), "data": "reconstructed",
        "reconstructions": len(patients), "seed": declared.seed, "sha256": hashes,
        "versions": versions("smm-bayes", "numpy", "pymc", "nutpie"), "quantities": quantities,
    })  # fmt: skip


def _pin(pins: Pins, path: Path) -> str:
    """Hash of the bytes that were read of a file."""
    return pins.files[path.resolve()]


def _from_history(folder: Path, declared: HistorySection, pins: Pins) -> dict[str, Any]:
    """Posterior of the current trial's hazards with its own patients silent, and rates from single studies.

    A rate is Beta(x + 1/2, n - x + 1/2) of the study's x of n, moved on the logit scale by a Normal(0,
    ``between_trials``²) for the difference between studies.
    """
    from scipy.special import expit, logit

    from smm_bayes.inference.each import fit_each

    inputs = read_inputs(folder / declared.spec)
    if not isinstance(inputs.model, WithEarlierTrials):
        raise SpecificationError(f"{folder / declared.spec}: names no evidence to forecast from; add a section")
    history = inputs.model.without(inputs.spec.trial.name)
    posterior = fit_each(history.build(), history.data(), seed=declared.seed).require_convergence().posterior
    log_hazard = posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval").values
    total = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=3), inputs.spec.grid)
    free = total.survival(np.array([declared.month]))[..., 0]
    sets = len(history.trials)
    values = {f"event-free at {declared.month:g} months, {name}": free[..., index]
              for index, name in enumerate(inputs.patients.arm_names)}  # fmt: skip
    values |= {f"hazard ratio, {cause}": np.exp(log_hazard[:, :, 1, index, 0] - log_hazard[:, :, 0, index, 0])
               for index, cause in enumerate(inputs.patients.causes)}  # fmt: skip
    facts, rng = load_facts(), np.random.default_rng(declared.seed)
    said = {"outcome": inputs.spec.snapshot.outcome, "horizon": "before any patient", "hazards": "proportional"}
    quantities = [{**said, "quantity": name, **summarise(drawn.reshape(sets, -1))} for name, drawn in values.items()]
    for rate in declared.rate:
        (fact,) = facts.require((rate.fact,))
        if fact.n is None or fact.events is None:
            raise SpecificationError(f"fact {fact.id} has no numerator and denominator; name one that has")
        drawn = rng.beta(fact.events + 0.5, fact.n - fact.events + 0.5, 20_000)
        drawn = expit(logit(drawn) + rng.normal(0, rate.between_trials, drawn.size))
        quantities.append({**said, "outcome": "rate", "hazards": "", "quantity": rate.name, **summarise(drawn[None])})
    hashes = {DECLARED: _pin(pins, folder / DECLARED), "spec.toml": inputs.spec.sha256}
    assert inputs.spec.evidence is not None
    hashes |= {Path(t.patients).name: _pin(pins, inputs.spec.file(t.patients)) for t in inputs.spec.evidence.trial}
    return sealed({
        "schema_version": 1, "made": datetime.date.today().isoformat(), "data": "reconstructed",
        "reconstructions": sets, "seed": declared.seed, "sha256": hashes,
        "versions": versions("smm-bayes", "numpy", "pymc", "nutpie"), "quantities": quantities,
    })  # fmt: skip


def records(folder: str | Path) -> list[Path]:
    """Forecasts on record in a folder, the oldest first."""
    stem, suffix = Path(STORED).stem, Path(STORED).suffix
    found = [Path(folder) / STORED]
    while os.path.lexists(found[-1]):
        found.append(Path(folder) / f"{stem}_{len(found) + 1}{suffix}")
    return found[:-1]


def store(content: Mapping[str, Any], folder: str | Path, *, because: str = "") -> Path:
    """Put a forecast on record, beside those that are there already.

    Parameters
    ----------
    content : mapping
    folder : path
    because : str
        Why there is another forecast, required where one is on record. The new one names the seal of the one before.
        Each is entered in the log beside it.

    Raises
    ------
    SpecificationError
        When there is one and no reason is given.
    """
    there = records(folder)
    if there and not because:
        raise SpecificationError(
            f"{there[-1]} is on record and stays as it is; a forecast made beside it needs a reason (--because)"
        )
    content = sealed({**content, "after": read_forecast(folder)["seal"], "because": because} if there else content)
    path = Path(folder) / (f"{Path(STORED).stem}_{len(there) + 1}.json" if there else STORED)
    path = write_whole(path, as_json(content))
    enter(path, content["seal"])
    return path


def read_forecast(folder: str | Path, number: int | None = None) -> Forecast:
    """Read a forecast on record; check its seal, the record before it, and that the log beside it has both.

    Parameters
    ----------
    folder : path
    number : int, optional
        1 is the oldest; the newest if not given.

    Raises
    ------
    SpecificationError
        When there is no such record, it is no record, or it was edited since it was made, whether or not it was
        sealed again.
    """
    there = records(folder)
    if not 1 <= (number or 1) <= len(there):
        raise SpecificationError(f"{folder} has {len(there)} forecasts on record; there is no number {number or 1}")
    path = there[(number or len(there)) - 1]
    contents = [_record(one) for one in there]
    for one, before, content in zip(there[1:], contents, contents[1:], strict=False):
        if content.get("after") != before["seal"]:
            raise SpecificationError(f"{one} does not follow the record before it, which was exchanged; restore both")
    vouch(folder, there)
    return Forecast(contents[there.index(path)])


def _record(path: Path) -> dict[str, Any]:
    """Content of one record whose seal holds."""
    content = read_sealed(path, SpecificationError)
    if not isinstance(content.get("quantities"), list):
        raise SpecificationError(f"{path} is no forecast: it has no list of quantities; restore it")
    return content


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the forecast a folder declares and put it on record."""
    parser = argparse.ArgumentParser(prog="python -m smm_bayes.analysis.forecast", description=main.__doc__)
    parser.add_argument("folder", help="folder with forecast.toml")
    parser.add_argument("--because", default="", metavar="REASON", help="why another is made beside earlier ones")
    options = parser.parse_args(arguments)
    try:
        if records(options.folder) and not options.because:
            store({}, options.folder)  # refused before anything is computed
        print(store(make_forecast(options.folder), options.folder, because=options.because))
    except SmmBayesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, ConvergenceError) else 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
