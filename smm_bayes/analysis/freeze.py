"""A specification frozen: its hash and the date beside it, and a log of every interim run from then on."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smm_bayes.analysis.log import append, log_of, read_log
from smm_bayes.analysis.pinned import listed
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.files import as_json, sealed, sha256, write_whole
from smm_bayes.inference.fingerprint import package_state
from smm_bayes.reading import read_bytes, read_sealed

if TYPE_CHECKING:
    from smm_bayes.analysis.decision import Decision

NOT_FROZEN = "not frozen"


def frozen_of(spec: Path) -> Path:
    """Where the record of a frozen specification is: beside it."""
    return spec.with_suffix(".frozen.json")


def freeze(spec: str | Path, *, because: str = "") -> Path:
    """Freeze a specification: write the hash of its bytes and of the evidence it names, the date and the version.

    Parameters
    ----------
    spec : path
    because : str
        Why it is frozen anew, required where what was frozen before has changed. The record then names the seal of
        the one before; the log keeps both.

    Returns
    -------
    pathlib.Path
        Of the record.

    Raises
    ------
    SpecificationError, DataError
        When the specification is not valid, was frozen before, or cannot be written beside.
    """
    loaded = AnalysisSpec.load(spec)
    path = frozen_of(loaded.path)
    hashes = pinned_by_freezing(loaded)
    before = _record(path) if path.exists() else None
    if before is not None and before["sha256"] == hashes:
        raise SpecificationError(f"{loaded.path} was frozen on {before['frozen']} and is unchanged; nothing to do")
    if before is not None and not because:
        raise SpecificationError(f"{loaded.path} was frozen on {before['frozen']} and was changed since; restore it, "
                                 "or say why it is frozen anew (--because)")  # fmt: skip
    record: dict[str, Any] = {"schema_version": 1, "spec": loaded.path.name, "sha256": hashes,
                              "frozen": datetime.date.today().isoformat(), "package": package_state()}  # fmt: skip
    if before is not None:
        record |= {"after": before["seal"], "because": because}
    record = sealed(record)
    try:
        append(log_of(loaded.path), {"what": "frozen", "record": record["seal"]})
        return write_whole(path, as_json(record))
    except OSError as error:
        raise SpecificationError(f"{path}: cannot be written ({error.strerror}); freeze a copy elsewhere") from None


def pinned_by_freezing(spec: AnalysisSpec) -> dict[str, str]:
    """Hash what must not change: the specification, and the evidence it names; the snapshot is still to come.

    Raises
    ------
    DataError
        When a file cannot be read.
    """
    found = {"spec": spec.sha256}
    for trial in (trial for one in spec.by_endpoint.values() if one.evidence for trial in one.evidence.trial):
        file = spec.file(trial.patients)
        try:
            found[f"evidence: {trial.name}"] = sha256(read_bytes(file))
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror}); correct evidence.trial.file") from None
    return found


def frozen_state(spec: AnalysisSpec) -> str:
    """Say whether a specification is as it was frozen, and when.

    Raises
    ------
    DataError
        When the record of it was edited.
    """
    path = frozen_of(spec.path)
    if not path.is_file():
        return NOT_FROZEN
    record = _record(path)
    now, when = pinned_by_freezing(spec), record["frozen"]
    changed = [name for name in {**record["sha256"], **now} if now.get(name) != record["sha256"].get(name)]
    again = f" (anew: {record['because']})" if record.get("because") else ""
    if not changed:
        return f"as frozen on {when}{again}"
    names = ["the specification" if name == "spec" else f"'{name}'" for name in changed]
    return f"{listed(names)} changed after being frozen on {when}{again}"


def _record(path: Path) -> dict[str, Any]:
    """Read the record of a frozen specification."""
    record = read_sealed(path)
    if not isinstance(record.get("sha256"), dict) or not isinstance(record.get("frozen"), str):
        raise DataError(f"{path}: is no record of a frozen specification; restore it, or freeze the specification anew")
    return record


def log_interim(spec: AnalysisSpec, decision: Decision, out: Path, digest: str) -> str | None:
    """Record an interim run in the log of a frozen specification; give the entry's seal, or None if not frozen.

    Parameters
    ----------
    spec : AnalysisSpec
    decision : Decision
    out : pathlib.Path
        Only its name is recorded.
    digest : str
        SHA-256 of ``decision.json``.

    Raises
    ------
    DataError
        When the log was tampered with.
    OSError
        When it cannot be written.
    """
    path = log_of(spec.path)
    if not frozen_of(spec.path).exists() and not path.exists():
        return None
    inputs = decision.inputs
    return append(path, {
        "what": "interim", "frozen": inputs.frozen, "sha256": inputs.sha256, "seed": inputs.seed,
        "probability_of_success": decision.probability_of_success, "mcse": decision.mcse, "out": out.name,
        "endpoints": {one.endpoint: one.probability_of_success for one in decision.endpoints},
        "decision": digest,
    })["seal"]  # fmt: skip


def check_frozen(spec: Path) -> str:
    """Check the record and the log of a specification against each other; say what they hold.

    Raises
    ------
    DataError
        When either was edited, or one is missing.
    """
    entries = read_log(log_of(spec))
    frozen = [entry for entry in entries if entry.get("what") == "frozen"]
    path = frozen_of(spec)
    seal = read_sealed(path)["seal"] if path.is_file() else None
    if seal != (frozen[-1].get("record") if frozen else None):
        raise DataError(f"{path}: is not the record that {log_of(spec).name} names last; restore both")
    state = frozen_state(AnalysisSpec.load(spec))
    if "changed" in state:
        raise DataError(f"{spec}: {state}; restore it, or freeze it anew")
    runs = sum(entry.get("what") == "interim" for entry in entries)
    return f"{state}, {runs} interim run{'' if runs == 1 else 's'} on the log"
