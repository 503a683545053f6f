"""Every problem of a specification and of all that it names, found before an analysis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from smm_bayes.analysis.assumptions import check_assumptions
from smm_bayes.analysis.earlier import read_earlier
from smm_bayes.analysis.interim import InterimInputs, read_inputs
from smm_bayes.analysis.log import log_of, read_log
from smm_bayes.analysis.snapshot import Snapshot
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import SmmBayesError


def checked_inputs(spec: str | Path, snapshot: str | Path | None = None) -> InterimInputs:
    """Read and check what an interim analysis reads.

    An analysis stops at the first file that is not right. Here the others are looked at too, so that all can be mended
    at once.

    Raises
    ------
    SmmBayesError
        Naming every problem, file by file.
    """
    loaded = AnalysisSpec.load(spec)
    try:
        read_log(log_of(loaded.path))  # refused where it was tampered with
        return read_inputs(loaded, snapshot)
    except SmmBayesError as error:
        path = Path(snapshot) if snapshot is not None else loaded.file(loaded.snapshot.table)
        stages: list[Callable[[], object]] = [lambda: check_assumptions(loaded), lambda: Snapshot.read(loaded, path)]
        if loaded.evidence is not None:
            stages.append(lambda: read_earlier(loaded))
        stages += [partial(_read_alone, one, path) for one in list(loaded.by_endpoint.values())[1:]]
        found = dict.fromkeys([str(error), *filter(None, map(_said, stages))])
        raise type(error)("\n".join(found)) from None


def _read_alone(spec: AnalysisSpec, path: Path) -> None:
    """Read what a further endpoint names."""
    check_assumptions(spec)
    Snapshot.read(spec, path)
    if spec.evidence is not None:
        read_earlier(spec)


def _said(stage: Callable[[], object]) -> str:
    """Give what a stage of reading refuses, and nothing where it does not."""
    try:
        stage()
    except SmmBayesError as error:
        return str(error)
    return ""
