"""Keys of spec.toml, each against a closed form: patients, final analysis, enrolment, prediction, success."""

from __future__ import annotations

import datetime
import math
import re
import typing
from pathlib import Path

import numpy as np
import pydantic
import pytest

from smm_bayes.analysis.sections import AssumedSection, EndpointSection, EstimandSection
from smm_bayes.analysis.snapshot_section import SnapshotSection
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import SmmBayesError, SpecificationError
from smm_bayes.trial.calendar import DAYS_PER_MONTH

checks = pytest.mark.checks_key
DAY, START, CUT = datetime.date, datetime.date(2020, 1, 1), datetime.date(2022, 1, 1)
NUMBER = 80  # still followed, in both arms together
HAZARD = {"progression": 0.03, "death": 0.01}


def months(first: datetime.date, last: datetime.date) -> float:
    return (last - first).days / DAYS_PER_MONTH


def assert_share(events: np.ndarray, number: int, share: float) -> None:
    """The mean number of events is ``number · share``, within 4 Monte Carlo errors of independent patients."""
    error = math.sqrt(number * share * (1 - share) / len(events))
    assert abs(events.mean() - number * share) < 4 * error


def keys(model: type[pydantic.BaseModel], prefix: str = "") -> typing.Iterator[str]:
    """Every key of a section and of the sections in it, dotted; what many sections share is named once."""
    for name, field in model.model_fields.items():
        if name in AssumedSection.model_fields and issubclass(model, AssumedSection):
            yield f"any prior: {name}"
            continue
        kinds, sections = [field.annotation], []
        while kinds:
            kind = kinds.pop()
            if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                sections.append(kind)
            else:
                kinds.extend(typing.get_args(kind))
        if not sections or (prefix and {SnapshotSection, EndpointSection, EstimandSection} & set(sections) and prefix != "snapshot."):
            # with the keys of a section that is checked elsewhere
            yield prefix + name
            continue
        for section in sections:
            yield from keys(section, f"{prefix}{name}.")


def test_every_key_is_checked() -> None:
    """Each key of spec.toml is named by a test that holds it to a closed form or an outside answer, and no other is."""
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_spec_keys*.py"))
    named = {key for call in re.findall(r"@checks\(([^)]*)\)", text) for key in re.findall(r'"([^"]+)"', call)}
    assert named == set(keys(AnalysisSpec))


@checks("schema_version", "trial.name")
def test_version_and_name(spec_file) -> None:
    with pytest.raises(SpecificationError, match="schema_version"):
        spec_file.load({"schema_version": 3})
    assert spec_file.load({"trial.name": "KRd"}).trial.name == "KRd"
    with pytest.raises(SpecificationError, match=r"trial\.name"):
        spec_file.load({"trial.name": ""})


@checks("final.at", "final.date")
def test_final_on_a_date(spec_file) -> None:
    """By 2024-01-01 a patient followed at the cut has had an event with 1 − e^{−(λ₁+λ₂)t}; two had one before."""
    inputs, found = spec_file.followed(NUMBER // 2).complete(HAZARD, {"final.date": DAY(2024, 1, 1)})
    assert_share(found.counted_events - 2, NUMBER, 1 - math.exp(-0.04 * months(CUT, DAY(2024, 1, 1))))
    assert np.allclose(found.columns["date"], inputs.final.date)


@checks("final.causes")
def test_final_counts_some_causes(spec_file) -> None:
    """Death competes: progression is λ₁/(λ₁+λ₂) of all events."""
    _, found = spec_file.followed(NUMBER // 2).complete(HAZARD, {"final.causes": ["progression"]})
    share = 0.75 * (1 - math.exp(-0.04 * months(CUT, DAY(2024, 1, 1))))
    assert_share(found.counted_events - 2, NUMBER, share)


@checks("final.events", "final.cap")
def test_final_at_events(spec_file) -> None:
    """Without a cap the target is reached exactly; the cap comes first in as many trials as a binomial says."""
    trial = spec_file.followed(NUMBER // 2)
    at = {"at": "events", "events": 30}
    _, found = trial.complete(HAZARD, final=at)
    assert (found.counted_events == 30).all()
    cap = DAY(2023, 1, 1)
    _, capped = trial.complete(HAZARD, final=at | {"cap": cap})
    from scipy.stats import binom

    reached = binom.sf(27, NUMBER, 1 - math.exp(-0.04 * months(CUT, cap)))  # 28 of 80 more
    assert abs(capped.probability_reached - reached) < 4 * math.sqrt(reached * (1 - reached) / 4000)
    assert capped.columns["date"].max() <= months(START, cap) + 0.04


@checks("final.follow_up", "final.truncate")
def test_final_after_follow_up(spec_file) -> None:
    """Half enrolled a year later: with 30 months for everyone, and with everyone to the day of the analysis."""
    late = DAY(2021, 1, 1)
    trial = spec_file.followed(20).followed(20, late)
    follow_up = {"at": "follow_up", "follow_up": 30}
    _, short = trial.complete(HAZARD, final=follow_up)
    left = [30 - months(first, CUT) for first in (START, late)]
    shares = [1 - math.exp(-0.04 * time) for time in left]
    assert_share(short.counted_events - 4, 80, float(np.mean(shares)))
    _, long = trial.complete(HAZARD, final=follow_up | {"truncate": False})
    assert_share(long.counted_events - 4, 80, shares[1])


@checks("enrolment.planned", "enrolment.prior_rate", "enrolment.prior_months")
def test_enrolment(spec_file) -> None:
    """Accrual has rate Gamma(r·m + n − 1, m + T), so the last of k to come enters at k(m + T)/(shape − 1) on average."""
    trial = spec_file.followed(20)
    plan = {"planned": {"control": 31, "experimental": 41}, "prior_rate": 5.0, "prior_months": 12.0}
    _, found = trial.complete(HAZARD, enrolment=plan, final={"at": "follow_up", "follow_up": 30})
    shape, so_far = 5.0 * 12 + 42 - 1, months(START, CUT)
    wait = 30 * (12 + so_far) / (shape - 1)
    dates = found.columns["date"]
    assert abs(dates.mean() - (so_far + wait + 30)) < 4 * dates.std() / math.sqrt(len(dates)) + 0.04
    fewer = {"planned": {"control": 21, "experimental": 20}}
    with pytest.raises(SmmBayesError, match=r"enrolment\.planned\.experimental is 20 but 21"):
        trial.inputs(enrolment=fewer)


@checks("prediction.replicates")
def test_replicates(spec_file) -> None:
    _, found = spec_file.followed(10).complete(HAZARD, {"prediction.replicates": 1234})
    assert len(found.success) == 1234


@checks("prediction.complete")
def test_patients_lost_are_completed_only_if_named(spec_file) -> None:
    trial = spec_file.followed(20)
    for _ in range(40):
        trial.patient("Rd", START, DAY(2021, 1, 1), 2)
    changes = {"snapshot.censoring": {"1": "administrative", "2": "lost"}}
    _, without = trial.complete(HAZARD, changes)
    share = 1 - math.exp(-0.04 * months(CUT, DAY(2024, 1, 1)))
    assert_share(without.counted_events - 2, 40, share)
    _, both = trial.complete(HAZARD, changes | {"prediction.complete": ["administrative", "lost"]})
    longer = 1 - math.exp(-0.04 * months(DAY(2021, 1, 1), DAY(2024, 1, 1)))
    assert_share(both.counted_events - 2, 80, (share + longer) / 2)


@checks("prediction.dropout")
def test_dropout(spec_file) -> None:
    """Ten lost in E patient-months: δ ~ Gamma(10.5, E), and P(event by t) = E[λ/(λ+δ)·(1 − e^{−(λ+δ)t})]."""
    trial = spec_file.followed(20)
    for _ in range(10):
        trial.patient("Rd", START, DAY(2021, 1, 1), 2)
    inputs, found = trial.complete(HAZARD, {"prediction.dropout": True})
    loss = np.random.default_rng(3).gamma(10.5, 1 / inputs.patients.time.sum(), 200_000)
    share = np.mean(0.04 / (0.04 + loss) * (1 - np.exp(-(0.04 + loss) * months(CUT, DAY(2024, 1, 1)))))
    events = found.counted_events - 2
    assert abs(events.mean() - 40 * share) < 4 * events.std() / math.sqrt(len(events))


@checks("success")
def test_success_rule(spec_file) -> None:
    """P(at most k events) is binomial."""
    from scipy.stats import binom

    _, found = spec_file.followed(NUMBER // 2).complete(HAZARD, {"success": {"rule": "event_count", "at_most": 50}})
    expected = binom.cdf(48, NUMBER, 1 - math.exp(-0.04 * months(CUT, DAY(2024, 1, 1))))
    assert abs(found.probability - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)
