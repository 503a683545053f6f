"""What a backtest declares: results in the order of their publication, the model's priors, and its variants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from smm_bayes.analysis.sections import LogNormalSection, Number, Section, Whole, Word
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.reading import read_toml

ENDPOINTS: tuple[Endpoint, ...] = ("progression", "death")
OTHERS = "all others"

type Endpoint = Literal["progression", "death"]


class ContrastSection(Section):
    """A regimen's hazard ratio against another regimen; of a combination the prior is the variant's."""

    regimen: Word
    versus: Word
    median: Number | None = None
    upper: Number | None = None
    combination: bool = False


class ShapeSection(Section):
    """Normal prior of the shape of a Weibull curve."""

    mean: Number
    sd: Annotated[Number, Field(gt=0)]


class EndpointSection(Section):
    """Priors of one endpoint."""

    reference: Word
    baseline: LogNormalSection
    shape: ShapeSection
    flat_hazard_ratio: Annotated[list[Number], Field(min_length=2, max_length=2)]
    contrast: list[ContrastSection]


class RelationSection(Section):
    """How trials relate; without a spread nothing is known from other trials."""

    hazard: Annotated[Number, Field(ge=1)] | None = None
    effect: Annotated[Number, Field(ge=1)] | None = None
    exchangeable: Annotated[Number, Field(gt=0, le=1)] = 1.0
    hazard_apart: Annotated[Number, Field(ge=1)] = 1.0
    effect_apart: Annotated[Number, Field(ge=1)] = 1.0


class PopulationSection(Section):
    """Trials of a mixed population, and the hazard at high risk over that of theirs."""

    trials: list[Word] = Field(default_factory=list)
    median: Number = 1.0
    upper: Number = 2.0


class FactsSection(Section):
    """Facts of one endpoint: those that later forecasts may use, and those that are forecast."""

    known: list[Word]
    forecast: list[Word]


class ResultSection(Section):
    """What one trial reported at one time."""

    trial: Word
    cut: str
    reported: Whole
    definition: Word
    arms: dict[Word, Word]
    from_: Annotated[Literal["earlier", "all others"], Field(alias="from")] = "earlier"
    why: str = ""
    update: bool = False
    month: Number | None = None
    n: dict[Word, Word] = Field(default_factory=dict)
    progression: FactsSection | None = None
    death: FactsSection | None = None

    @property
    def name(self) -> str:
        """Trial and cut."""
        return f"{self.trial} {self.cut}".strip()

    def facts(self, endpoint: Endpoint) -> FactsSection | None:
        """Facts of an endpoint."""
        return self.progression if endpoint == "progression" else self.death


class PairsSection(Section):
    """Pairs of trials' effects on MRD-negativity and on progression-free survival."""

    facts: list[Word]


class Backtest(Section):
    """A backtest as its file declares it."""

    schema_version: Literal[1]
    progression: EndpointSection
    death: EndpointSection
    relation: dict[Word, RelationSection]
    offsets: dict[Word, dict[Word, LogNormalSection]]
    population: dict[Word, PopulationSection]
    combination: dict[Word, LogNormalSection]
    result: list[ResultSection]
    pairs: PairsSection
    reference: dict[Word, Word]
    shown: dict[Word, dict[Word, Word]]
    not_stated: list[Word] = Field(default_factory=list)

    @property
    def ways(self) -> dict[str, dict[str, str]]:
        """Variants that are shown, by name, the first as first specified."""
        return {name: self.reference | changed for name, changed in self.shown.items()}

    def reading(self, definition: str) -> Backtest:
        """Read the results whose definition of progression is not stated by this one."""
        results = [one.model_copy(update={"definition": definition}) if one.name in self.not_stated else one
                   for one in self.result]  # fmt: skip
        return self.model_copy(update={"result": results})

    def without(self, name: str) -> Backtest:
        """Leave out one result, as a source and as what is forecast."""
        if name not in {one.name for one in self.result}:
            raise SpecificationError(f"there is no result {name!r} in the backtest")
        return self.model_copy(update={"result": [one for one in self.result if one.name != name]})

    def only(self, *relations: str) -> Backtest:
        """Leave out the variants of other relations."""
        return self.model_copy(update={"relation": {name: self.relation[name] for name in relations}})

    def endpoint(self, name: Endpoint) -> EndpointSection:
        """Priors of an endpoint."""
        return self.progression if name == "progression" else self.death

    def variants(self) -> Iterator[Variant]:
        """Every combination of one of each."""
        for names in product(self.relation, self.offsets, self.population, self.combination):
            yield Variant(*names)

    def history(self, target: ResultSection, endpoint: Endpoint) -> list[ResultSection]:
        """Give the results a forecast may use: of each other trial the last one that was reported before.

        Of the target's own trial nothing, unless the target is an update: then the cut before it. Where a forecast
        is from all others, the last one of each other trial whenever it was reported.
        """
        found: dict[str, ResultSection] = {}
        for one in self.result:
            own, earlier = one.trial == target.trial, one.reported < target.reported
            may = (earlier and target.update) if own else (earlier or target.from_ == OTHERS)
            latest = one.trial not in found or found[one.trial].reported < one.reported
            if may and latest and one.facts(endpoint):
                found[one.trial] = one
        return sorted(found.values(), key=lambda one: one.reported)


@dataclass(frozen=True)
class Variant:
    """One model of the backtest.

    Attributes
    ----------
    relation, offsets, population, combination : str
        Names of the declared choices.
    """

    relation: str
    offsets: str
    population: str
    combination: str


def load_backtest(path: str | Path) -> Backtest:
    """Read and validate a backtest.

    Raises
    ------
    SpecificationError
        Naming every problem.
    """
    content = read_toml(Path(path), SpecificationError, what="a backtest.toml")
    try:
        return Backtest.model_validate(content)
    except ValidationError as error:
        with Problems(str(path), SpecificationError).collecting() as problems:
            for found in error.errors():
                where = ".".join(map(str, found["loc"]))
                problems.add(f"{where}: {found['msg'].removeprefix('Value error, ')}")
        raise AssertionError from error  # a validation error names at least one problem
