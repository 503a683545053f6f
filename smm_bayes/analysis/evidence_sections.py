"""The sections of a specification that name earlier trials and how they bear on this one."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from smm_bayes.analysis.sections import LogNormalSection, Number, Section, Whole, Word
from smm_bayes.analysis.snapshot_section import SnapshotSection
from smm_bayes.borrowing.trials.history import patient_arms
from smm_bayes.borrowing.trials.priors import BetweenTrials, Contrast, TrialsPriors
from smm_bayes.borrowing.trials.relations import Commensurate, Exchangeable, Power, Relation, Robust
from smm_bayes.errors import nearest
from smm_bayes.evidence.origin import told_apart
from smm_bayes.evidence.vocabulary import PRIMARY
from smm_bayes.priors.clinical import HazardRatioPrior, SpreadPrior
from smm_bayes.survival.model_priors import SurvivalPriors

METHODS: dict[str, type[Relation]] = {
    "exchangeable": Exchangeable, "robust": Robust, "commensurate": Commensurate, "power": Power,
}  # fmt: skip


class RegimensSection(Section):
    """Regimen of each arm of the trial being analysed, in the words of the evidence."""

    control: Word | None = Field(None, description="What the control arm is given; none in a trial of one arm")
    experimental: Word = Field(description="What the experimental (or only) arm is given")


class HistoricalTrialSection(Section):
    """One earlier trial: its patients, what each arm was given, and what is counted.

    The patients are either a table of reconstructions (``file``), whose trust and source are those of the facts that
    the record beside it names, or any table that a snapshot may be (``table``).
    """

    name: Word = Field(description="What to call the earlier trial")
    file: Word | None = Field(None, description="Table of reconstructions, with the record of its making beside it")
    table: SnapshotSection | None = Field(None, description="Patients as in section snapshot, with the same keys")
    arms: dict[Literal["control", "experimental", "single"], Word] = Field(
        description="Regimen of each arm, or of the 'single' arm, in the words of regimens and contrast"
    )
    counts: list[Annotated[list[Word], Field(min_length=1)]] = Field(
        description="Causes that it counts, in series: those in one bracket are counted together"
    )
    ignores: list[Word] = Field(
        default_factory=list, description="Causes of its table that end the time at risk and do not count"
    )
    endpoint: str | dict[Literal["control", "experimental", "single"], Word] = Field(
        "", description="Which of evidence.endpoint its progression is, in all arms or by arm; empty: defined as in "
        "this trial"
    )  # fmt: skip
    population: str = Field(
        "", description="Which of evidence.population its patients are; empty: as likely to progress as in this trial"
    )
    provenance: Literal["real", "reconstructed", "simulated"] | None = Field(
        None, description="What the patients of a file without a record are"
    )
    trust: Literal["registry", "published", "secondary", "derived", "recalled"] = Field(
        PRIMARY, description="The lowest trust of facts that its reconstructions may be made from"
    )
    source: Word | None = Field(None, description="Where patients without a record are from: a citation in words")

    @model_validator(mode="before")
    @classmethod
    def _facts_are_read(cls, given: Any) -> Any:
        if isinstance(given, dict) and "facts" in given:
            raise ValueError("the key facts is no more: trust and sources are read from the record beside the table of "
                             "reconstructions; remove it")  # fmt: skip
        return given

    @property
    def endpoints(self) -> dict[str, str]:
        """Name of the definition of progression by the role that patients have; none where it is this trial's."""
        named = dict.fromkeys(self.arms, self.endpoint) if isinstance(self.endpoint, str) else self.endpoint
        return {role: name for role, name in patient_arms({str(role): n for role, n in named.items()}).items() if name}

    @field_validator("arms")
    @classmethod
    def _arms(cls, arms: dict[str, str]) -> dict[str, str]:
        if set(arms) not in ({"control", "experimental"}, {"single"}):
            raise ValueError("must name the regimens of 'control' and 'experimental', or that of 'single'")
        if len(set(arms.values())) < len(arms):
            raise ValueError(f"both arms are given {arms['experimental']!r}; name what each was given")
        return arms

    @model_validator(mode="after")
    def _consistent(self) -> HistoricalTrialSection:
        problems = [f"'{cause}' is counted and ignored; let it be one" for cause in self.ignores
                    if any(cause in series for series in self.counts)]  # fmt: skip
        if (self.file is None) == (self.table is None):
            problems.append("give its patients as file (a table of reconstructions) or as table (keys as in snapshot)")
        elif self.file is not None and (self.provenance is None) != (self.source is None):
            problems.append("provenance and source belong together, for a file without a record beside it; give both")
        elif self.table is not None:
            problems += self._table_problems(self.table)
        if not isinstance(self.endpoint, str) and (unknown := sorted(set(self.endpoint) - set(self.arms))):
            problems.append(f"endpoint names {', '.join(unknown)}; the arms are {', '.join(self.arms)}")
        if problems:
            raise ValueError(*problems)
        return self

    def _table_problems(self, table: SnapshotSection) -> list[str]:
        problems = []
        if self.source is None:
            problems.append("source is missing: say in words where the patients of its table are from")
        if self.provenance is not None:
            problems.append("provenance belongs into its table; remove it here")
        if table.mrd:
            problems.append("table.mrd: MRD of earlier patients is not used; remove it")
        if set(self.patient_arms) != set(table.arms):
            problems.append(f"arms are {', '.join(self.arms)}, but table.arms names {', '.join(table.arms)}; a single "
                            "arm is 'experimental' there")  # fmt: skip
        return problems + told_apart({cause: [cause] for cause in table.cause_names}, self.counts, self.ignores)

    @property
    def patient_arms(self) -> dict[str, str]:
        """Regimen by the role that patients have, where a single arm is ``experimental``."""
        return patient_arms({str(role): regimen for role, regimen in self.arms.items()})

    @property
    def patients(self) -> str:
        """The file of its patients."""
        return self.file or (self.table.table if self.table else "")


class ContrastSection(LogNormalSection):
    """Prior of a regimen's hazard ratio against another's."""

    regimen: Word = Field(description="The regimen whose hazard is compared")
    versus: Word = Field(description="With which: the reference, or a regimen of a contrast before")


class BetweenTrialsSection(Section):
    """How far trials differ: 95 % within so many fold."""

    hazard: Annotated[Number, Field(gt=1)] = Field(
        default=2.5, description="95 % of trials have a hazard within this many fold of the typical one"
    )
    effect: Annotated[Number, Field(gt=1)] = Field(
        default=1.5, description="95 % of trials have a hazard ratio within this many fold of the contrast"
    )


class BorrowingSection(Section):
    """Method of borrowing, with its settings; one that the method does not use is refused."""

    method: Literal["exchangeable", "robust", "commensurate", "power", "pooled", "separate"] = Field(
        default="exchangeable", description="How trials relate; each further key belongs to the methods that it names"
    )
    by: Literal["trial", "interval"] | None = Field(
        default=None, description="exchangeable, robust: whether a trial differs as a whole (by default) or by interval"
    )
    exchangeable: Number | None = Field(
        default=None,
        description="robust: prior probability of being exchangeable, from 0 to 1; 0.8 by default",
    )
    hazard_fold: Number | None = Field(
        default=None, description="robust: 95 % of trials apart have a hazard within this many fold; 10 by default"
    )
    effect_fold: Number | None = Field(
        default=None, description="robust: 95 % of trials apart have a hazard ratio within this many fold; 3 by default"
    )
    discrepancy: Literal["half-normal", "spike-and-slab"] | None = Field(
        default=None, description="commensurate: the prior of an earlier trial's discrepancy; 'half-normal' by default"
    )
    spike: Number | None = Field(
        default=None,
        description="spike-and-slab: prior probability of the spike, from 0 to 1; 0.5 by default",
    )
    spike_fold: Number | None = Field(
        default=None,
        description="spike-and-slab: 95 % of the spike within this many fold; 1.1 by default",
    )
    slab_fold: Number | None = Field(
        default=None, description="spike-and-slab: 95 % of the slab within this many fold; 10 by default"
    )
    power: Number | None = Field(
        default=None, description="power: weight of every earlier trial's log likelihood, from 0 to 1; 0.5 by default"
    )
    powers: dict[Word, Number] | None = Field(default=None, description="power: weights of single trials, by name")

    @property
    def relation(self) -> Relation:
        """How trials relate."""
        given = self.model_dump(exclude_none=True, exclude={"method"})
        if self.method in ("pooled", "separate"):
            return Power(1.0 if self.method == "pooled" else 0.0)
        names = {"power": "default", "powers": "of"} if self.method == "power" else {}
        return METHODS[self.method](**{names.get(name, name): value for name, value in given.items()})

    @model_validator(mode="after")
    def _used(self) -> BorrowingSection:
        kind = METHODS.get(self.method)
        used = {field.name for field in fields(kind)} if kind else set()
        used = {"power", "powers"} if self.method == "power" else used
        unused = sorted(set(self.model_dump(exclude_none=True, exclude={"method"})) - used)
        if unused:
            raise ValueError(f"method = '{self.method}' does not use {', '.join(unused)}; remove it")
        self.relation  # noqa: B018 - refuses values out of range
        return self


class EvidenceSection(Section):
    """Earlier trials, and how they bear on this one.

    With this section ``model.prior.baseline`` is that of the regimen ``reference``, and a contrast takes the place of
    ``model.prior.hazard_ratio`` for the first cause.
    """

    reference: Word = Field(description="Regimen that model.prior.baseline is of; contrasts count from it")
    regimens: RegimensSection = Field(description="What the arms of the trial being analysed are given")
    trial: Annotated[list[HistoricalTrialSection], Field(min_length=1)] = Field(description="Earlier trials, one each")
    contrast: list[ContrastSection] = Field(
        description="Prior hazard ratio of the first cause, a regimen against another; one for every regimen but the "
        "reference"
    )
    endpoint: dict[Word, LogNormalSection] = Field(
        default_factory=dict,
        description="Hazard of progression as this trial defines it, over that by another definition; a ratio each",
    )
    population: dict[Word, LogNormalSection] = Field(
        default_factory=dict,
        description="Hazard of progression of patients like this trial's, over that of other patients; a ratio each",
    )
    between: BetweenTrialsSection = Field(BetweenTrialsSection(), description="How far trials differ, beforehand")
    borrowing: BorrowingSection = Field(BorrowingSection(), description="The method of borrowing and its settings")
    reconstructions: Annotated[Whole, Field(ge=1)] = Field(20, description="Reconstructions of each trial to use")
    quarantined: dict[Word, Word] = Field(
        default_factory=dict, description="Quarantined facts that are admitted, each id with the reason"
    )

    @model_validator(mode="after")
    def _consistent(self) -> EvidenceSection:
        names = [trial.name for trial in self.trial]
        problems = [f"trial '{name}' is named twice; never pool two cuts of one trial" for name in
                    sorted({name for name in names if names.count(name) > 1})]  # fmt: skip
        known = [self.reference]
        for contrast in self.contrast:
            if contrast.versus not in known:
                problems.append(f"contrast {contrast.regimen}: versus '{contrast.versus}' is neither the reference nor "
                                "named before; put contrasts in order")  # fmt: skip
            if contrast.regimen in known:
                problems.append(f"contrast {contrast.regimen} is given twice, or is the reference; remove it")
            known.append(contrast.regimen)
        used = [self.regimens.control, *(r for t in self.trial for r in t.arms.values())]
        known.append(self.regimens.experimental)  # which may have hazards of its own instead
        for regimen in dict.fromkeys(name for name in used if name is not None and name not in known):
            problems.append(f"regimen '{regimen}' has no contrast{nearest(regimen, known)}; give one, against "
                            f"{self.reference} for example")  # fmt: skip
        for trial in self.trial:
            named = {"endpoint": list(dict.fromkeys(trial.endpoints.values())), "population": [trial.population]}
            for kind, names_of_kind in named.items():
                stated = getattr(self, kind)
                problems += [f"trial '{trial.name}': {kind} '{name}' has no prior{nearest(name, stated)}; add "
                             f"evidence.{kind}.{name} with median and upper"
                             for name in names_of_kind if name and name not in stated]  # fmt: skip
        for name in self.borrowing.powers or {}:
            if name not in names:
                problems.append(f"borrowing.powers: no trial '{name}'{nearest(name, names)}; there are "
                                f"{', '.join(names)}")  # fmt: skip
        if problems:
            raise ValueError(*problems)
        return self

    @property
    def known(self) -> tuple[str, ...]:
        """The reference and every regimen with a contrast."""
        return (self.reference, *(contrast.regimen for contrast in self.contrast))

    def priors(self, survival: SurvivalPriors) -> TrialsPriors:
        """Priors of the model with earlier trials; ``survival`` are those of the reference regimen."""
        return TrialsPriors(
            survival=survival,
            contrasts=tuple(Contrast(c.regimen, c.versus, HazardRatioPrior(c.median, c.upper)) for c in self.contrast),
            reference=self.reference,
            between=BetweenTrials(SpreadPrior(self.between.hazard), SpreadPrior(self.between.effect)),
            endpoints={name: HazardRatioPrior(p.median, p.upper) for name, p in self.endpoint.items()},
            populations={name: HazardRatioPrior(p.median, p.upper) for name, p in self.population.items()},
            relation=self.borrowing.relation,
        )
