"""The patients of the earlier trials that a specification names, read by the doors of all patients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smm_bayes.analysis.evidence_sections import HistoricalTrialSection
from smm_bayes.analysis.snapshot import Snapshot
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.borrowing.trials.cohorts import Cohort, cohorts_of
from smm_bayes.borrowing.trials.with_earlier_trials import EvidenceSource
from smm_bayes.errors import DataError, Problems, SmmBayesError, SpecificationError
from smm_bayes.evidence.declared import Declaration, load_declarations
from smm_bayes.evidence.facts import load_facts
from smm_bayes.evidence.made import read_reconstructions
from smm_bayes.evidence.origin import origin_path, read_origin
from smm_bayes.evidence.vocabulary import TRUST, may_enter
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.patients import Patients


@dataclass(frozen=True, eq=False)
class EarlierTrial:
    """Patients of an earlier trial: one set a reconstruction, or the one set there is.

    Attributes
    ----------
    section : HistoricalTrialSection
    patients : tuple of Patients
    source : EvidenceSource
    """

    section: HistoricalTrialSection
    patients: tuple[Patients, ...]
    source: EvidenceSource

    @property
    def reconstructed(self) -> bool:
        """Whether there are several possible sets of patients, not the trial's own."""
        return self.source.provenance == "reconstructed"

    def cohorts(self, number: int, grid: TimeGrid) -> tuple[Cohort, ...]:
        """Arms under reconstruction ``number`` (from 0); the same under all where the patients are the trial's own."""
        patients = self.patients[number if self.reconstructed else 0]
        section, table = self.section, grid.tabulate(patients)
        return cohorts_of(section.name, table, section.patient_arms, section.counts, section.endpoints,
                          section.population)  # fmt: skip


def read_earlier(spec: AnalysisSpec) -> tuple[EarlierTrial, ...]:
    """Read the patients of every earlier trial.

    Raises
    ------
    SpecificationError
        Naming every problem of every trial.
    """
    section = spec.evidence
    assert section is not None
    declared: dict[str, Declaration] = {}
    if section.quarantined or any(trial.file and not trial.provenance for trial in section.trial):
        declared = load_declarations(facts=load_facts(quarantined=dict(section.quarantined)))
    found = []
    with Problems(str(spec.path), SpecificationError).collecting() as problems:
        for trial in section.trial:
            try:
                earlier = _from_table(spec, trial) if trial.table is not None else _from_file(spec, trial, declared)
                _check_number(earlier, section.reconstructions)
                found.append(earlier)
            except SmmBayesError as error:
                problems.add(f"evidence.trial '{trial.name}': {error}")
    return tuple(found)


def _check_number(earlier: EarlierTrial, wanted: int) -> None:
    number = len(earlier.patients)
    if earlier.reconstructed and number < wanted:
        raise DataError(f"{earlier.section.patients} holds {number} reconstructions; evidence.reconstructions asks for "
                        f"{wanted}")  # fmt: skip
    if not earlier.reconstructed and number > 1:
        raise DataError(f"{earlier.section.patients} holds {number} reconstructions of patients who are "
                        f"{earlier.source.provenance}; keep one")  # fmt: skip


def _from_file(spec: AnalysisSpec, trial: HistoricalTrialSection, declared: Mapping[str, Declaration]) -> EarlierTrial:
    """Read a table of reconstructions; its record says what it was made from, or else the specification does."""
    assert trial.file is not None
    path = spec.file(trial.file)
    origin = read_origin(path)
    if os.path.isfile(path) and origin is None and trial.provenance is None:
        raise DataError(f"{path}: {origin_path(path).name}, the record of what the table was made from, is not beside "
                        "it; put it there, or give provenance and source of the patients")  # fmt: skip
    if origin is not None and trial.provenance is not None:
        raise DataError(f"provenance and source are read from {origin_path(path)}; remove them from the specification")
    patients = read_reconstructions(
        path, arms=trial.patient_arms, by="regimen", counts=trial.counts, ignores=trial.ignores,
        provenance=trial.provenance or "reconstructed", declared=declared,
    )  # fmt: skip
    if origin is None:
        return EarlierTrial(trial, patients, _declared_source(trial, trial.provenance or ""))
    facts = declared[origin.name].facts
    if low := [fact for fact in facts if not may_enter(fact.trust, trial.trust)]:
        worst = max((fact.trust for fact in low), key=TRUST.index)
        said = ", ".join(sorted(f"{fact.id} ({fact.trust})" for fact in low))
        raise SpecificationError(f"made from {said}; give trust = '{worst}' to use it all the same")
    trust = max((fact.trust for fact in facts), key=TRUST.index)
    ids = tuple(fact.id for fact in facts)
    return EarlierTrial(trial, patients, EvidenceSource(trial.name, trust, "; ".join(facts.sources), ids))


def _from_table(spec: AnalysisSpec, trial: HistoricalTrialSection) -> EarlierTrial:
    """Read patients as the snapshot's are read, from a table with the same keys."""
    section = trial.table
    assert section is not None
    path: Path = spec.file(section.table)
    source = Snapshot.read(spec.model_copy(update={"snapshot": section}), path)
    patients = source.everyone
    if section.cut_by_date is not None:
        patients = source.cut_by_date(section.cut_by_date)
    elif section.cut_by_events is not None:
        patients = source.cut_by_events(section.cut_by_events)
    return EarlierTrial(trial, (patients,), _declared_source(trial, section.provenance))


def _declared_source(trial: HistoricalTrialSection, provenance: str) -> EvidenceSource:
    return EvidenceSource(trial.name, provenance, trial.source or "", provenance=provenance)
