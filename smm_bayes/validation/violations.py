r"""What a predictive probability is worth when the trial is not as the model has it.

``python -P -m smm_bayes.validation.violations models/variants`` writes ``violations.csv`` and ``violations.json``. A
trial has 40 control and 80 experimental patients, three enrolled a month; the interim analysis is at 20 events, the
final one at 40, ten years after the first patient at the latest, with a one-sided log-rank test at 0.05. Hazards are
constant, Gamma with shape 6 and means of 0.020 (control) and 0.013 a month, drawn anew for every trial and independent;
an earlier trial of the control regimen saw 30 events. The posterior is exact (conjugate), so what is seen is
the violation and not the sampler. In each scenario one assumption fails, where the trial goes on as said below; the
naive prediction does not know, the mended one has the model that the scenario asks for.

Scenarios
---------
- ``as modelled``: nothing is violated;
- ``effect gone after 12 months``, ``36 months``: from then on, since enrolment, the hazard of control holds in both
  arms. Mended: the model has that law;
- ``control faster after the interim``, ``both faster``: the hazards of the time to come are 1.5 times as high. Mended:
  the law to come has them;
- ``losses``: 2 % of the patients a month are lost from the interim on. Mended: the law has losses at that rate;
- ``informative losses, control`` and ``experimental``: three in ten patients are lost when they would have had their
  event. Mended: three tenths of that hazard are losses (a tipping point at its true value);
- ``slower accrual``: half as many patients a month from the interim on. Mended: that rate is known;
- ``history twice as high``, ``half as high``: the earlier trial had twice, or half, the hazard of control here (another
  population, or an offset misjudged). Mended: a robust prior, in which the earlier trial has a weight of 0.8.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.execution import run_chunks
from smm_bayes.files import as_json, write_whole
from smm_bayes.inference.fingerprint import versions
from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.probability import probability_of_success
from smm_bayes.prediction.success import LogRank
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd

ARMS, SIZES, RATE, CAP = ("control", "experimental"), (40, 80), 3.0, 120.0
INTERIM, FINAL, RULE = 20, 40, LogRank(0.05)
SHAPE, MEAN = 6.0, np.array([0.020, 0.013])
HISTORY, ROBUST = 30.0, 0.8
LOST, INFORMATIVE, FASTER, SLOWER = 0.02, 0.3, 1.5, 0.5
AT_ONCE = 1e-6  # months from an event to the analysis that it brings
DRAWS, COMPLETED, INTERIMS, SEED, CHUNK = 200, 400, 2000, 20_261_128, 100
TABLE, SUMMARY = "violations.csv", "violations.json"


@dataclass(frozen=True)
class Scenario:
    """What fails in the trial after what the model has seen.

    Attributes
    ----------
    name : str
    gone_after : float
        Months since enrolment from which on the experimental arm has the hazard of control.
    faster : tuple of float
        Factor on the hazards of the time after the interim, by arm.
    lost : float
        Losses a month after the interim.
    informative : tuple of float
        Share of the events after the interim that are lost instead, by arm.
    slower : float
        Factor on the accrual after the interim.
    history : float
        Hazard of the earlier trial's control over that of this trial.
    """

    name: str
    gone_after: float = np.inf
    faster: tuple[float, float] = (1.0, 1.0)
    lost: float = 0.0
    informative: tuple[float, float] = (0.0, 0.0)
    slower: float = 1.0
    history: float = 1.0


SCENARIOS = (
    Scenario("as modelled"),
    Scenario("effect gone after 12 months", gone_after=12.0), Scenario("effect gone after 36 months", gone_after=36.0),
    Scenario("control faster after the interim", faster=(FASTER, 1.0)),
    Scenario("both faster", faster=(FASTER, FASTER)),
    Scenario("losses", lost=LOST),
    Scenario("informative losses, control", informative=(INFORMATIVE, 0.0)),
    Scenario("informative losses, experimental", informative=(0.0, INFORMATIVE)),
    Scenario("slower accrual", slower=SLOWER),
    Scenario("history twice as high", history=2.0), Scenario("history half as high", history=0.5),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trial:
    """A whole trial as it happens, its patients in the order of enrolment.

    Attributes
    ----------
    arm, enrolled, time : numpy.ndarray, shape (patient,)
        Months; ``time`` is that of the event, from enrolment.
    lost : numpy.ndarray, shape (patient,)
        Months from enrolment at which the patient is lost; infinite where not.
    interim : float
        Calendar time of the interim analysis.
    history : tuple of float
        Events and patient-months of the earlier trial.
    """

    arm: np.ndarray
    enrolled: np.ndarray
    time: np.ndarray
    lost: np.ndarray
    interim: float
    history: tuple[float, float]

    @property
    def final(self) -> float:
        """Calendar time of the final analysis: its last event that is seen, or the latest date."""
        seen = np.sort((self.enrolled + self.time)[self.time < self.lost])
        date = seen[FINAL - 1] + AT_ONCE if len(seen) >= FINAL else CAP
        return float(max(min(date, CAP), self.interim))

    def known_at(self, date: float) -> Patients:
        """Patients as known on a date."""
        there = self.enrolled < date
        arm, enrolled = self.arm[there], self.enrolled[there]
        followed, time, lost = date - enrolled, self.time[there], self.lost[there]
        end = np.minimum(np.minimum(time, lost), followed)
        event = (time <= followed) & (time < lost)
        reason = np.where(event, "", np.where(lost <= followed, "lost", "administrative")).astype(object)
        return Patients(
            patient=np.arange(len(arm)).astype(str).astype(object), arm=arm, time=end, event=event,
            cause=np.where(event, 0, -1), censoring=reason, enrolled=enrolled, arms=ARMS, arm_names=ARMS,
            causes=("event",), provenance="simulated", data_cutoff=date,
        )  # fmt: skip


def simulate(scenario: Scenario, *, rng: np.random.Generator) -> Trial:
    """Draw hazards and a trial in which the scenario happens."""
    hazard = rng.gamma(SHAPE, MEAN / SHAPE)
    size = sum(SIZES)
    arm = rng.permutation(np.repeat([0, 1], SIZES))
    enrolled = np.cumsum(rng.exponential(1 / RATE, size)) - 1e-9
    enrolled -= enrolled[0]
    cumulative = rng.exponential(size=size)
    time = cumulative / hazard[arm]
    if np.isfinite(scenario.gone_after):
        gone, early = scenario.gone_after, scenario.gone_after * hazard[1]
        time = np.where((arm == 1) & (cumulative > early), gone + (cumulative - early) / hazard[0], time)
    interim = np.sort(enrolled + time)[INTERIM - 1] + AT_ONCE
    later = enrolled > interim
    enrolled = np.where(later, interim + (enrolled - interim) / scenario.slower, enrolled)
    seen = np.maximum(interim - enrolled, 0.0)  # months from enrolment that were before the interim
    time = np.where(time > seen, seen + (time - seen) / np.array(scenario.faster)[arm], time)
    lost = seen + rng.exponential(size=size) / scenario.lost if scenario.lost else np.full(size, np.inf)
    instead = (time > seen) & (rng.random(size) < np.array(scenario.informative)[arm])
    lost = np.where(instead, np.minimum(lost, time), lost)
    months = HISTORY / MEAN[0]
    earlier = float(rng.poisson(scenario.history * hazard[0] * months))
    return Trial(arm, enrolled, time, lost, float(interim), (earlier, months))


def predict(scenario: Scenario, trial: Trial, patients: Patients, *, mended: bool, seed: int) -> float:
    """Probability of success at the interim, from the exact posterior."""
    rng = np.random.default_rng(seed)
    gone = scenario.gone_after if mended else np.inf
    after = TimeGrid((gone,)) if np.isfinite(gone) else TimeGrid()
    table = after.tabulate(patients)
    own, gains = table.events[:, 0], table.exposure
    events = np.array([own[0].sum() + own[1, 1:].sum(), own[1, 0]])  # the later interval has the hazard of control
    months = np.array([gains[0].sum() + gains[1, 1:].sum(), gains[1, 0]])
    control = draw_control(events[0], months[0], trial.history, robust=mended and scenario.history != 1, rng=rng)
    other = rng.gamma(SHAPE + events[1], 1 / (SHAPE / MEAN[1] + months[1]), DRAWS)
    hazard = np.stack([np.repeat(control[:, None], len(after), axis=1),
                       np.stack([other, *[control] * (len(after) - 1)], axis=1)], axis=1)  # (draw, arm, interval)
    law, counted = to_come(scenario, hazard, after) if mended else (Law.plain(np.log(hazard)[:, :, None], after), None)
    accrual = RATE * (scenario.slower if mended else 1.0)
    patients = replace(patients, causes=law.causes)
    final = FinalAnalysis("events", events=FINAL, cap=max(CAP, trial.interim), causes=counted)
    to_enrol = Enrolment(dict(zip(ARMS, SIZES, strict=True)), accrual, 1e4)
    return probability_of_success(
        patients, one_chain(law), final=final, rule=RULE, seed=seed, enrolment=to_enrol, replicates=COMPLETED,
        progress=False,
    ).probability  # fmt: skip


def draw_control(
    events: float, months: float, history: tuple[float, float], *, robust: bool, rng: np.random.Generator
) -> np.ndarray:
    """Draw the hazard of control: with the earlier trial, or with it in a weight that the data move."""
    from scipy.special import gammaln, logsumexp

    rate = SHAPE / MEAN[0]
    shapes = SHAPE + np.array([history[0], 0.0])
    rates = rate + np.array([history[1], 0.0])
    evidence = (gammaln(shapes + events) - gammaln(shapes) + shapes * np.log(rates)
                - (shapes + events) * np.log(rates + months))  # fmt: skip
    prior = np.log([ROBUST, 1 - ROBUST]) if robust else np.log([1.0, 1e-300])
    weight = np.exp(prior + evidence - logsumexp(prior + evidence))
    which = (rng.random(DRAWS) > weight[0]).astype(int)
    return rng.gamma(shapes[which] + events, 1 / (rates[which] + months))


def to_come(scenario: Scenario, hazard: np.ndarray, grid: TimeGrid) -> tuple[Law, tuple[str, ...]]:
    """Law of the time to come where the scenario is known: hazards (draw, arm, interval) and losses as a cause."""
    faster = np.array(scenario.faster)[:, None]
    instead = np.array(scenario.informative)[:, None]
    event = hazard * faster * (1 - instead)
    lost = hazard * faster * instead + scenario.lost
    with np.errstate(divide="ignore"):
        return Law.plain(np.log(np.stack([event, lost], axis=2)), grid, ARMS, ("event", "lost")), ("event",)


def one_chain(law: Law) -> Law:
    """Give the draws as those of one chain."""
    return replace(law, log_hazard=law.log_hazard[None], log_share=law.log_share[None])


def one_interim(scenario: Scenario, replicate: int) -> tuple[float, float, float]:
    """Naive and mended predictions of one trial, and whether it succeeded."""
    key = [SEED, SCENARIOS.index(scenario), replicate]
    trial = simulate(scenario, rng=np.random.default_rng(key))
    patients = trial.known_at(trial.interim)
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    predicted = [predict(scenario, trial, patients, mended=mended, seed=seed) for mended in (False, True)]
    final = FinalAnalysis("events", events=FINAL, cap=max(CAP, trial.interim))
    return predicted[0], predicted[1], float(RULE(FinalData.of(trial.known_at(trial.final), final, TimeGrid()))[0])


def _chunk(scenario: Scenario, first: int, stop: int) -> np.ndarray:
    return np.array([one_interim(scenario, replicate) for replicate in range(first, stop)])


def run(interims: int = INTERIMS, *, workers: int | None = None) -> Iterator[tuple[Scenario, np.ndarray]]:
    """Rows (interim, 3) of every scenario, as they are done."""
    with ProcessPoolExecutor(workers) as executor:
        for scenario in SCENARIOS:
            chunks = [(scenario, first, min(first + CHUNK, interims)) for first in range(0, interims, CHUNK)]
            yield scenario, np.concatenate(list(run_chunks(_chunk, chunks, executor)))


def summarised(rows: dict[str, np.ndarray]) -> pd.DataFrame:
    """Give mean predictions and the share that succeeded, with the errors of their differences, by scenario."""
    import pandas as pd

    found = []
    for name, values in rows.items():
        naive, mended, happened = values.T
        root = np.sqrt(len(values))
        found.append({"scenario": name, "interims": len(values), "predicted": naive.mean(), "mended": mended.mean(),
                      "happened": happened.mean(), "error": (naive - happened).std(ddof=1) / root,
                      "error_mended": (mended - happened).std(ddof=1) / root,
                      "brier": np.mean((naive - happened) ** 2),
                      "brier_mended": np.mean((mended - happened) ** 2)})  # fmt: skip
    return pd.DataFrame(found)


def main(folder: Path) -> None:
    """Make the stored table, with the first rows of each scenario, which a test computes again."""
    rows = {}
    for scenario, values in run():
        rows[scenario.name] = values
        print(f"{scenario.name}: {len(values)} interims", flush=True)
    record: dict[str, Any] = {
        "schema_version": 1, "seed": SEED, "interims": INTERIMS, "draws": DRAWS, "completed": COMPLETED,
        "first": {name: values[:3].tolist() for name, values in rows.items()},
        "versions": versions("smm-bayes", "numpy"),
    }  # fmt: skip
    write_whole(folder / TABLE, summarised(rows).to_csv(index=False, float_format="%.5f", lineterminator="\n"))
    write_whole(folder / SUMMARY, as_json(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("models/variants"))
