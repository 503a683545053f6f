"""Every published result forecast by every variant, and scored beside the baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from smm_bayes.analysis.backtest.baselines import BASELINES, FLAT, LAST, flat, last, proportional
from smm_bayes.analysis.backtest.declared import ENDPOINTS, Backtest, Endpoint, ResultSection, Variant
from smm_bayes.analysis.backtest.estimates import Estimate, estimate
from smm_bayes.analysis.backtest.joint import Row, joint, spreads
from smm_bayes.analysis.backtest.pairs import pair_forecasts
from smm_bayes.analysis.backtest.summary import AXES, MODEL
from smm_bayes.analysis.scores import Forecast, score
from smm_bayes.borrowing.meta_analysis.linear import predicted
from smm_bayes.errors import SpecificationError
from smm_bayes.evidence.facts import Facts, load_facts
from smm_bayes.evidence.vocabulary import TRUST

if TYPE_CHECKING:
    import pandas as pd

NO_VARIANT = "-"


@dataclass(frozen=True)
class Task:
    """Estimates of one result to be forecast, and those that may be used.

    Attributes
    ----------
    endpoint : str
    result : ResultSection
    targets, known : tuple of rows
    reported : tuple of rows
        Everything that was reported by the results in the history, for the baselines.
    """

    endpoint: Endpoint
    result: ResultSection
    targets: tuple[Row, ...]
    known: tuple[Row, ...]
    reported: tuple[Row, ...]

    def __post_init__(self) -> None:
        """Refuse a forecast that uses what it forecasts, or what was not published before it."""
        used = {one.fact for _, one in self.known}
        own = used & {one.fact for _, one in self.targets}
        if own:
            raise SpecificationError(f"{self.result.name} is forecast from its own numbers ({', '.join(sorted(own))})")
        for held, one in self.known:
            if self.result.from_ == "earlier" and held.reported >= self.result.reported:
                raise SpecificationError(f"{self.result.name} is forecast from {one.fact}, not reported before it")
            if held.trial == self.result.trial and not self.result.update:
                raise SpecificationError(f"{self.result.name} is forecast from {one.fact}, of its own trial")


def tasks(declared: Backtest, facts: Facts) -> Iterator[Task]:
    """What is to be forecast, and from what."""
    for result in declared.result:
        for endpoint in ENDPOINTS:
            section = result.facts(endpoint)
            history = declared.history(result, endpoint)
            if section is None or not section.forecast or not history:
                continue
            targets = tuple((result, estimate(name, result, facts)) for name in section.forecast)
            known, reported = [], []
            for held in history:
                use = held.facts(endpoint)
                assert use is not None
                known += [(held, estimate(name, held, facts)) for name in use.known]
                every = dict.fromkeys([*use.known, *use.forecast])
                reported += [(held, estimate(name, held, facts)) for name in every]
            yield Task(endpoint, result, targets, tuple(known), tuple(reported))


def forecasts(declared: Backtest, task: Task, variant: Variant) -> list[Forecast]:
    """Forecast the published estimates of a task, their sampling errors included."""
    relation = declared.relation[variant.relation]
    known = task.known if relation.hazard is not None else tuple(
        row for row in task.known if row[0].trial == task.result.trial)  # fmt: skip
    weights, means, sds = predicted(joint(declared, task.endpoint, variant, known, task.targets),
                                    spreads(declared, variant))  # fmt: skip
    return [Forecast.mixture(weights, means[:, k], sds[:, k]) for k in range(len(task.targets))]


def baseline(name: str, declared: Backtest, task: Task, target: Row) -> Forecast | None:
    """Forecast by a baseline; nothing where it says nothing."""
    reference = declared.endpoint(task.endpoint).reference
    if name == FLAT:
        return flat(target[1], declared.endpoint(task.endpoint).flat_hazard_ratio)
    return (last if name == LAST else proportional)(target, task.reported, reference)


def backtest(declared: Backtest, facts: Facts | None = None) -> pd.DataFrame:
    """Forecast and score everything: a row a forecast and a variant or baseline.

    Returns
    -------
    pandas.DataFrame
        ``fact``, ``trial``, ``reported``, ``endpoint``, ``kind``, ``month``, ``arm``; ``published`` and ``se`` on the
        scale of the logarithm; ``trust``, the least of what is forecast and used; ``used``, the facts; ``method``,
        ``model`` or a baseline; the variant; the scores.
    """
    import pandas as pd

    facts = load_facts() if facts is None else facts
    rows: list[dict[str, Any]] = []
    alike: dict[Any, list[Forecast]] = {}
    for task in tasks(declared, facts):
        for variant in declared.variants():
            key = (task.endpoint, task.result.name, _what_matters(declared, task, variant))
            if key not in alike:
                alike[key] = forecasts(declared, task, variant)
            for target, made in zip(task.targets, alike[key], strict=True):
                rows.append(_said(task, target) | {"method": MODEL} | asdict(variant) | {"made": made})
        for target, name in product(task.targets, BASELINES):
            found = baseline(name, declared, task, target)
            if found is not None:
                rows.append(_said(task, target) | {"method": name} | dict.fromkeys(AXES, NO_VARIANT) | {"made": found})
    rows += pair_forecasts(declared, facts)
    scores: dict[int, dict[str, Any]] = {}
    for row in rows:
        made = row.pop("made")
        if id(made) not in scores:
            scores[id(made)] = asdict(score(made, row["published"])) | {"kept": made}
        row |= scores[id(made)]
    return pd.DataFrame(rows).drop(columns="kept")


def _what_matters(declared: Backtest, task: Task, variant: Variant) -> Variant:
    """Give the variant without what cannot change these forecasts."""
    if task.endpoint == "progression":
        return variant
    return Variant(variant.relation, "", "", variant.combination)


def _said(task: Task, target: Row) -> dict[str, Any]:
    """What a row says of the number forecast."""
    result, one = target
    return {
        "fact": one.fact, "trial": result.name, "study": result.trial, "reported": result.reported,
        "from": result.from_, "endpoint": task.endpoint, "kind": one.kind, "month": one.month, "arm": one.arm,
        "published": one.value, "se": one.se, "trust": least_trust([one, *(each for _, each in task.known)]),
        "used": " ".join(dict.fromkeys(each.fact for _, each in task.known)),
    }  # fmt: skip


def least_trust(estimates: Sequence[Estimate]) -> str:
    """Least of the trusts of some estimates."""
    return max((one.trust for one in estimates), key=TRUST.index)
