"""A forecast on record scored against what was published later, beside baselines.

``happened.toml`` beside the record names, for each quantity whose outcome is known, the fact that is the outcome and
the fact that was known when the forecast was made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from smm_bayes.analysis.forecast import read_forecast
from smm_bayes.analysis.scores import Forecast, log_ratio_se, score
from smm_bayes.analysis.sections import Section, Word
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.evidence.facts import Fact, Facts, load_facts
from smm_bayes.reading import read_toml

if TYPE_CHECKING:
    import pandas as pd

HAPPENED = "happened.toml"
FLAT_RATIO = (0.05, 2.0)  # over which the flat forecast of a hazard ratio is flat, on the logarithm
FLAT, LAST, PROPORTIONAL = "flat", "last repeated", "proportional hazards"
ROUNDED = 1 / math.sqrt(12)  # SD of what rounding leaves open, in units of the last digit


class HappenedSection(Section):
    """One quantity of a forecast, and the fact that it came to."""

    outcome: Word
    horizon: Word
    quantity: Word
    fact: Word
    before: Word


class HappenedFile(Section):
    """What is known of a forecast's outcomes."""

    schema_version: Literal[1]
    happened: Annotated[list[HappenedSection], Field(min_length=1)]


def load_happened(folder: str | Path) -> list[HappenedSection]:
    """Read which facts a forecast's quantities came to.

    Raises
    ------
    SpecificationError
        When no outcome is known, and naming every problem of the file.
    """
    path = Path(folder) / HAPPENED
    if not path.is_file():
        raise SpecificationError(f"{path} is not there: no outcome of this forecast is known; name its facts in it")
    try:
        return HappenedFile.model_validate(read_toml(path, SpecificationError, what=f"a {HAPPENED}")).happened
    except ValidationError as error:
        with Problems(str(path), SpecificationError).collecting() as problems:
            for found in error.errors():
                problems.add(f"{'.'.join(map(str, found['loc']))}: {found['msg'].removeprefix('Value error, ')}")
        raise AssertionError from error  # a validation error names at least one problem


def score_record(folder: str | Path, number: int | None = None, facts: Facts | None = None) -> pd.DataFrame:
    r"""Score every quantity of a record whose outcome is known.

    A record forecasts the ESTIMATE of a later data cut, its sampling error included, so none is added; what the
    rounding of the printed number leaves open is. Hazard ratios are scored on the logarithm, counts as they are.

    Baselines: flat (a log hazard ratio from 0.05 to 2; a count from that before to all patients); the number before
    repeated, with its own standard error; and, of a hazard ratio, proportional hazards: the later estimate given
    the earlier one is normal about it with variance :math:`se_1^2 - se_2^2`.

    Parameters
    ----------
    folder : path
    number : int, optional
        Of the record; the newest if not given.
    facts : Facts, optional

    Returns
    -------
    pandas.DataFrame
        A row a quantity and structure of the hazards, with the scores of :class:`~smm_bayes.analysis.scores.Score`
        and a column for the log score of every baseline.
    """
    import pandas as pd

    content, facts = read_forecast(folder, number), load_facts() if facts is None else facts
    rows = []
    for held in load_happened(folder):
        outcome, before = facts.require((held.fact, held.before))
        asked = ("outcome", "horizon", "quantity")
        entries = [entry for entry in content["quantities"] if all(entry[key] == getattr(held, key) for key in asked)]
        if not entries:
            raise SpecificationError(f"the record has no {held.outcome} {held.quantity} at {held.horizon!r}")
        for entry in entries:
            rows.append(_scored(held, entry, outcome, before))
    return pd.DataFrame(rows)


def _scored(held: HappenedSection, entry: Mapping[str, Any], outcome: Fact, before: Fact) -> dict[str, Any]:
    ratio = outcome.measure == "hazard_ratio"
    value, se, baselines = _of_ratio(outcome, before) if ratio else _of_count(outcome, before)
    chances, quantiles = [0.5], [float(entry["median"])]
    for level, limits in entry["intervals"].items():
        chances += [(1 - float(level)) / 2, (1 + float(level)) / 2]
        quantiles += limits
    made = Forecast.of_quantiles(chances, [math.log(each) for each in quantiles] if ratio else quantiles)
    found = asdict(score(made.of_estimate(se), value))
    back = math.exp if ratio else float
    return {
        "outcome": held.outcome, "horizon": held.horizon, "quantity": held.quantity, "hazards": entry["hazards"],
        "published": back(value), **{name: back(found.pop(name)) for name in ("median", "low_80", "high_80")}, **found,
        **{name: made.of_estimate(se).log_pdf(value) for name, made in baselines.items()},
        "fact": outcome.id, "trust": outcome.trust,
    }  # fmt: skip


def _of_ratio(outcome: Fact, before: Fact) -> tuple[float, float, dict[str, Forecast]]:
    """Log hazard ratio published, what its rounding leaves open, and the baselines."""
    if outcome.value is None or before.value is None:
        raise SpecificationError(f"facts {outcome.id} and {before.id} must be hazard ratios with intervals")
    first, second = (log_ratio_se(fact.lower or 0, fact.upper or 0, fact.level or 0.95) for fact in (before, outcome))
    middle = math.log(before.value)
    apart = math.sqrt(max(first**2 - second**2, 1e-4))
    return math.log(outcome.value), 0.01 * ROUNDED / outcome.value, {
        FLAT: Forecast.flat(math.log(FLAT_RATIO[0]), math.log(FLAT_RATIO[1])), LAST: Forecast.normal(middle, first),
        PROPORTIONAL: Forecast.normal(middle, apart),
    }  # fmt: skip


def _of_count(outcome: Fact, before: Fact) -> tuple[float, float, dict[str, Forecast]]:
    """Patients with the event, what a whole number leaves open, and the baselines."""
    if outcome.events is None or before.events is None or not outcome.n or before.events >= outcome.n:
        raise SpecificationError(f"facts {outcome.id} and {before.id} must have events and a denominator")
    share = before.events / outcome.n
    return float(outcome.events), ROUNDED, {
        FLAT: Forecast.flat(before.events, outcome.n),
        LAST: Forecast.normal(before.events, math.sqrt(outcome.n * share * (1 - share)) or 1.0),
    }  # fmt: skip


def printed_scores(table: pd.DataFrame) -> str:
    """Give the scores of a record as text: each quantity, then coverage and mean log scores beside the baselines."""
    lines = []
    for row in table.to_dict("records"):
        said = " ".join(filter(None, (row["outcome"], row["quantity"], row["hazards"] and f"({row['hazards']})")))
        lines.append(f"{said}, {row['horizon']}: forecast {row['median']:.3g} (80 %: {row['low_80']:.3g} to "
                     f"{row['high_80']:.3g}), published {row['published']:.3g}; PIT {row['pit']:.2f}, "
                     f"log score {row['log_score']:.2f}")  # fmt: skip
    lines.append("")
    for name, rows in (("hazard ratios", table[table["quantity"] == "hazard_ratio"]),
                       ("counts", table[table["quantity"] != "hazard_ratio"])):  # fmt: skip
        if len(rows):
            inside = ", ".join(f"{int(rows[f'in_{level}'].sum())} in {level} %" for level in (50, 80, 95))
            means = ", ".join(f"{each} {rows[each].mean():.2f}" for each in (FLAT, LAST, PROPORTIONAL)
                              if rows[each].notna().all())  # fmt: skip
            lines.append(f"{len(rows)} {name}: {inside}; mean log score {rows['log_score'].mean():.2f}; {means}")
    return "\n".join(lines)
