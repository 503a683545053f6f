"""The readers, each given something valid that was changed at random.

A door is a function of a random number generator and a folder. It returns when the input was accepted, raises the
package's own error when it was refused, and :class:`Lost` when something that was read did not arrive.
"""

import csv
import datetime
import functools
import io
import json
import random
import re
import tomllib
from pathlib import Path
from typing import Any

import mutate
import seeds

from smm_bayes.analysis.earlier import read_earlier
from smm_bayes.analysis.forecast import read_forecast
from smm_bayes.analysis.freeze import frozen_state
from smm_bayes.analysis.log import read_log
from smm_bayes.analysis.pinned import check_folder
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.evidence.digitised import read_at_risk, read_curve
from smm_bayes.evidence.made import read_reconstructions
from smm_bayes.evidence.origin import read_origin
from smm_bayes.files import as_json, sealed, sha256
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial import Courses, Patients
from smm_bayes.trial.formats import read_dataset_json, read_xpt
from smm_bayes.trial.identity import normal_form
from smm_bayes.trial.table import Table, read_csv

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "models").glob("*/spec*.toml"))
EARLIER = '''schema_version = 1
[trial]
name = "Now"
title = "Now"
question = "?"
[snapshot]
file = "now.csv"
parameter = "PFS"
provenance = "simulated"
[snapshot.arms]
control = "Rd"
experimental = "KRd"
[snapshot.causes]
progression = ["Progression"]
death = ["Death"]
[model]
cuts = [6, 12]
prior.baseline.progression = { median = 24, upper = 96 }
prior.baseline.death = { median = 700, upper = 5600 }
prior.hazard_ratio.death = { median = 1, upper = 2.7 }
[evidence]
reference = "old"
reconstructions = 1
regimens = { control = "old", experimental = "new" }
contrast = [{ regimen = "new", versus = "old", median = 1.0, upper = 2.7 }]
[[evidence.trial]]
name = "Earlier"
source = "a registry"
arms = { control = "old", experimental = "new" }
counts = [["progression"], ["death"]]
[evidence.trial.table]
file = "earlier.csv"
parameter = "PFS"
provenance = "real"
arms = { control = "Rd", experimental = "KRd" }
causes = { progression = ["Progression"], death = ["Death"] }
{more}
[final]
at = "events"
events = 60
causes = ["progression", "death"]
[success]
rule = "log_rank"
alpha = 0.05
'''
CHOICES = ("", 'data_cutoff = 2022-01-01', 'flags = { STRATUM = "a" }', "longest_gap = 3", 'unit = "day"', "cut_by_date = 2021-06-01")


class Lost(AssertionError):
    """Something that was read neither arrived nor was counted as left out."""


def same(found: int, given: int, what: str) -> None:
    """Compare what arrived with what was given."""
    if found != given:
        raise Lost(f"{what}: {found} of {given}")


def as_table(columns: mutate.Columns) -> Table:
    """Take columns as a reader of files would have them."""
    return Table("t", columns, list(range(2, len(next(iter(columns.values()), [])) + 2)))


def whole(patients: Patients | Courses, names: list[str]) -> None:
    """Every row is a patient, or was counted as left out; the patients are those of the table."""
    repr(patients)
    out = sum(number for what, number in patients.left_out if "without a row" not in what)
    same(len(patients) + out, len(names), "patients")
    if strange := set(patients.patient) - {name.strip() for name in names}:
        raise Lost(f"patients who are not in the table: {strange}")


def options(rng: random.Random, kind: str) -> dict[str, Any]:
    """Arguments of a reader, mostly none."""
    given: dict[str, Any] = {}
    likely = {
        "longest_gap": lambda: rng.choice((1, 12, 1e9)), "patients": lambda: rng.choice((4, 5, 6)),
        "flags": lambda: rng.choice(({"STRATUM": "a"}, {"NOTE": "Y"})), "leave_out": lambda: [rng.choice(("Mid", "KRd"))],
        "covariates": lambda: ["AGE"], "subgroups": lambda: [rng.choice(("STRATUM", "stratum"))],
    }  # fmt: skip
    if kind == "plain":
        likely |= {"data_cutoff": lambda: rng.choice((40, 1e308, -1)), "unit": lambda: rng.choice(("month", "day", "bad"))}
    else:
        likely |= {"data_cutoff": lambda: datetime.date(rng.choice((2022, 2022, 2021, 9999)), 1, 1)}
    if kind == "adtte":
        likely |= {"unit": lambda: rng.choice(("day", "month", "")), "first_day": lambda: rng.randrange(2),
                   "censoring": lambda: rng.choice(({1: "administrative"}, {"": "lost"}, {"Ongoing": "lost"}))}  # fmt: skip
    for name, value in likely.items():
        if rng.random() < 0.05:
            given[name] = value()
    return given


def adtte(rng: random.Random, _: Path) -> None:
    """One parameter of ADTTE."""
    columns = mutate.table(rng, seeds.adtte(rng))
    causes = rng.choice((None, seeds.CAUSES, seeds.CAUSES))
    found = Patients.from_adtte(as_table(columns), "PFS", arms=seeds.ARMS, causes=causes, **options(rng, "adtte"))
    whole(found, rows_of(columns, "PFS"))


def rows_of(columns: mutate.Columns, parameter: str) -> list[str]:
    """Names in the rows of one parameter."""
    spelled = {normal_form(name): values for name, values in columns.items()}
    pairs = zip(spelled["usubjid"], spelled["paramcd"], strict=True)
    return [name for name, code in pairs if code.strip() == parameter]


def courses(rng: random.Random, _: Path) -> None:
    """Dates of every patient, and endpoints derived from them."""
    columns = mutate.table(rng, seeds.dates(rng))
    found = Courses.from_table(as_table(columns), arms=seeds.ARMS, **options(rng, "courses"))
    whole(found, next(values for name, values in columns.items() if normal_form(name) == "usubjid"))
    same(len(found.cut_by_date(found.data_cutoff)), len(found), "courses known at the cut-off")


def plain(rng: random.Random, _: Path) -> None:
    """A plain table."""
    columns = mutate.table(rng, seeds.plain(rng))
    causes = ["progression", "death"] if rng.random() < 0.9 else None
    found = Patients.from_frame(as_table(columns), arms=seeds.ARMS, causes=causes, **options(rng, "plain"))
    whole(found, next(values for name, values in columns.items() if normal_form(name) == "patient"))


def mrd(rng: random.Random, _: Path) -> None:
    """Assessments of MRD: each is used, or set aside with its reason."""
    patients = seeds.adtte(rng)
    patients.pop("ENTRYTM", None)
    columns = mutate.table(rng, seeds.mrd(rng, patients))
    if rng.random() < 0.3 and "STARTDT" in patients and "MRDTM" in columns:
        columns = {"MRDDT": [_dated(rng, day) for day in columns["MRDTM"]]} | {
            name: values for name, values in columns.items() if name not in ("MRDTM", "MRDTMU")}  # fmt: skip
    found = Patients.from_adtte(as_table(patients), "PFS", arms=seeds.ARMS, causes=seeds.CAUSES, mrd=as_table(columns)).mrd
    given = len(next(iter(columns.values())))
    same(len(found) + len(found.aside), given, "assessments")
    for limit in (1e-4, 1e-5, 1e-6):
        at = found.at(limit)
        same(len(at) + len(at.aside), given, f"assessments at {limit}")
        same(sum(at.set_aside.values()), len(at.aside), "reasons")


def _dated(rng: random.Random, day: str) -> str:
    try:
        return (seeds.CUT - (rng.randint(150, 900) - int(day)) * seeds.DAY).isoformat()
    except (ValueError, OverflowError):
        return day


def reconstructed(rng: random.Random, folder: Path) -> None:
    """Reconstructions of an earlier trial."""
    columns = mutate.table(rng, mutate.table(rng, seeds.reconstructions(rng)))
    path = _written(folder / "old.csv", mutate.csv_text(rng, columns))
    by, arms = rng.choice((("arm", ("Obs", "Len")), ("regimen", ("observation", "lenalidomide"))))
    found = read_reconstructions(path, arms=dict(zip(seeds.ARMS, arms, strict=True)), by=by,
                                 counts=rng.choice(([["progression"], ["death"]], [["progression", "death"]])))  # fmt: skip
    same(sum(map(len, found)), records(path.read_bytes()), "patients of all reconstructions")


def earlier(rng: random.Random, folder: Path) -> None:
    """Patients of an earlier trial that a specification names by ``evidence.trial.table``."""
    columns = mutate.table(rng, mutate.table(rng, seeds.adtte(rng)))
    more = rng.choice((*CHOICES[:1] * 6, *CHOICES))
    spec = _earlier_spec(folder, more)
    _written(folder / "earlier.csv", mutate.csv_text(rng, columns))
    trial = read_earlier(spec)[0]
    patients = trial.patients[0]
    if not more.startswith("cut_by"):
        whole(patients, rows_of(columns, "PFS"))
    cohorts = trial.cohorts(0, TimeGrid((6, 12)))
    followed = patients.time if patients.entry is None else patients.time - patients.entry
    if abs(sum(one.exposure.sum() for one in cohorts) - followed.sum()) > 1e-6:
        raise Lost("months at risk")
    same(int(sum(one.events.sum() for one in cohorts)), patients.events, "events")


@functools.cache
def _earlier_spec(folder: Path, more: str) -> AnalysisSpec:
    return AnalysisSpec.load(_written(folder / f"{sha256(more.encode())[:8]}.toml", EARLIER.replace("{more}", more)))


def csv_bytes(rng: random.Random, folder: Path) -> None:
    """The bytes of a CSV file."""
    content = mutate.raw(rng, mutate.csv_text(rng, seeds.adtte(rng)).encode())
    path = _written(folder / "t.csv", content)
    table = read_csv(path)
    same(len(table), records(content), "rows of the file")
    found = Patients.from_adtte(path, "PFS", arms=seeds.ARMS, causes=seeds.CAUSES)
    whole(found, rows_of(table.columns, "PFS"))


def records(content: bytes) -> int:
    """Rows of a CSV file below its header that are not blank, counted without the reader where nothing is quoted."""
    text = content.decode("utf-8-sig")
    if '"' in text:
        given = list(csv.reader(io.StringIO(text, newline="")))
    else:
        given = [line.split(",") for line in re.split("\r\n|\r|\n", text)]
    return sum(any(cell.strip() for cell in row) for row in given) - 1


def specification(rng: random.Random, folder: Path) -> None:
    """A shipped specification with some of its lines changed: every key of it arrives."""
    content = "\n".join(mutate.lines(rng, rng.choice(_shipped())))
    path = folder / "spec.toml"
    path.write_bytes(content.encode(errors="surrogatepass"))
    spec = AnalysisSpec.load(path)
    given = leaves(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    same(leaves(spec.model_dump(exclude_unset=True)), given, "values of the specification")
    repr((spec.grid, spec.priors, spec.rule, spec.enrolment_plan(), spec.counted, spec.tipping))
    if spec.evidence:
        repr(spec.trials_priors)


def leaves(value: Any) -> int:
    """How many values there are in tables and arrays, however deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else None
    return 1 if inner is None else sum(map(leaves, inner))


@functools.cache
def _shipped() -> list[list[str]]:
    texts = [path.read_text(encoding="utf-8").splitlines() for path in SPECS]
    return [[line for line in text if line.strip() and not line.startswith("#")] for text in texts]


def sealed_record(rng: random.Random, folder: Path) -> None:
    """Forecasts and frozen specifications: edited, or edited and sealed again."""
    kind = rng.randrange(3)
    if kind == 0:
        _edited(rng, folder / "forecast.json", _forecast())
        read_forecast(folder)
    elif kind == 1:
        spec = _earlier_spec(folder, "")
        hashes = {"spec": spec.sha256, "evidence: Earlier": "0" * 64}
        record = {"schema_version": 1, "spec": spec.path.name, "sha256": hashes, "frozen": "2026-01-01", "package": {}}
        _edited(rng, spec.path.with_suffix(".frozen.json"), record)
        _written(folder / "earlier.csv", "x")
        frozen_state(spec)
    else:
        lines = mutate_log(rng)
        path = folder / "x.log.jsonl"
        path.write_bytes(lines)
        found = read_log(path)
        same(len(found), sum(1 for line in lines.split(b"\n") if line), "entries of the log")


def _edited(rng: random.Random, path: Path, record: dict[str, Any]) -> None:
    """Write a record: as it was sealed, sealed after a change, or with bytes changed after the seal."""
    kind = rng.random()
    changed = record if kind < 0.3 else mutate.json_value(rng, record)
    if not isinstance(changed, dict):
        changed = {"x": changed}
    text = as_json(sealed(changed)).encode()
    path.write_bytes(mutate.raw(rng, text, most=1) if kind < 0.5 else text)


@functools.cache
def _forecast() -> dict[str, Any]:
    content = json.loads((ROOT / "models/krd_vs_rd/forecast.json").read_text(encoding="utf-8"))
    content["quantities"] = content["quantities"][:2]
    return {name: value for name, value in content.items() if name not in ("seal", "after")}


def mutate_log(rng: random.Random) -> bytes:
    """A log of three entries, whose chain holds or not."""
    after, written = "", []
    for number in range(3):
        entry: Any = {"at": "2026-01-01", "what": "interim", "number": number, "after": after}
        if rng.random() < 0.2:
            entry = mutate.json_value(rng, entry)
        entry = sealed(entry) if isinstance(entry, dict) else entry
        after = entry["seal"] if isinstance(entry, dict) else ""
        written.append(json.dumps(entry) + "\n")
    content = "".join(written).encode()
    return mutate.raw(rng, content, most=1) if rng.random() < 0.4 else content


def decision(rng: random.Random, folder: Path) -> None:
    """The folder of a run: its decision and its manifest, sealed again after a change."""
    content = mutate.json_value(rng, mutate.json_value(rng, _decision()))
    text = json.dumps(content, indent=2).encode()
    text = mutate.raw(rng, text, most=1) if rng.random() < 0.1 else text
    (folder / "decision.json").write_bytes(text)
    manifest: Any = {"schema_version": 1, "complete": False, "files": {"decision.json": sha256(text)}}
    if rng.random() < 0.15:
        manifest = mutate.json_value(rng, manifest)
    (folder / "manifest.json").write_text(as_json(sealed(manifest if isinstance(manifest, dict) else {})))
    found = check_folder(folder)
    found.model_dump_json()


@functools.cache
def _decision() -> dict[str, Any]:
    """A decision made from nothing but the schema."""
    schema = json.loads((ROOT / "models/decision.schema.json").read_text(encoding="utf-8"))
    return _instance(schema, schema["$defs"])


def _instance(schema: dict[str, Any], parts: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _instance(parts[schema["$ref"].rsplit("/", 1)[1]], parts)
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0], parts)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return {name: _instance(part, parts) for name, part in schema["properties"].items()}
    if kind == "object":
        return {"a": _instance(schema["additionalProperties"], parts)}
    if kind == "array":
        return [_instance(schema["items"], parts)] * 2
    return {"number": 0.5, "integer": 1, "string": "x", "boolean": True}.get(kind or "")


def record_of_table(rng: random.Random, folder: Path) -> None:
    """The record beside a table of reconstructions."""
    content = mutate.json_value(rng, mutate.json_value(rng, _origin()))
    text = json.dumps(content).encode()
    (folder / "made.json").write_bytes(mutate.raw(rng, text, most=1) if rng.random() < 0.2 else text)
    found = read_origin(folder / "made.csv")
    if found is None:
        raise Lost("the record")
    repr(found)


@functools.cache
def _origin() -> dict[str, Any]:
    return json.loads((ROOT / "data/patients/reconstructed/krd_nci_n54_ttp.json").read_text(encoding="utf-8"))


def figure(rng: random.Random, folder: Path) -> None:
    """A digitised curve and numbers at risk."""
    times = sorted(rng.uniform(0, 60) for _ in range(8))
    survival = sorted((rng.random() for _ in range(8)), reverse=True)
    columns = {"time": [f"{t:.2f}" for t in times], "survival": [f"{s:.3f}" for s in survival]}
    found = read_curve(_written(folder / "curve.csv", mutate.csv_text(rng, mutate.table(rng, columns))))
    repr((found, found.mended))
    columns = {"time": ["0", "12", "24", "48"], "at_risk": ["60", "41", "20", "3"]}
    repr(read_at_risk(_written(folder / "risk.csv", mutate.csv_text(rng, mutate.table(rng, columns)))))


def dataset_json(rng: random.Random, folder: Path) -> None:
    """ADTTE as Dataset-JSON."""
    columns = seeds.adtte(rng)
    if rng.random() < 0.5:
        columns = mutate.table(rng, columns)
    rows = list(map(list, zip(*columns.values(), strict=True)))
    content: Any = {"datasetJSONVersion": "1.1.0", "name": "ADTTE", "records": len(rows),
                    "columns": [{"name": name, "dataType": "string"} for name in columns], "rows": rows}  # fmt: skip
    content = mutate.json_value(rng, content) if rng.random() < 0.5 else content
    text = json.dumps(content).encode()
    path = folder / "t.json"
    path.write_bytes(mutate.raw(rng, text, most=1) if rng.random() < 0.2 else text)
    table = read_dataset_json(path)
    same(len(table), len(json.loads(path.read_bytes())["rows"]), "rows of the file")
    whole(Patients.from_adtte(path, "PFS", arms=seeds.ARMS, causes=seeds.CAUSES), rows_of(table.columns, "PFS"))


def transport(rng: random.Random, folder: Path) -> None:
    """ADTTE as a SAS transport file; one that was cut short has lost rows, and is refused."""
    number, content = rng.choice(_transports(folder))
    kind, changed = rng.random(), bytearray(content)
    short = False
    if kind < 0.3:
        at = rng.randrange(len(content))
        changed[at] = rng.randrange(256)
    elif kind < 0.55:
        changed = changed[: rng.randrange(len(changed))]
        short = len(changed) % 80 > 0  # else the last rows may be gone without a trace
    elif kind < 0.75:
        changed = bytearray(mutate.raw(rng, content))
    path = folder / "t.xpt"
    path.write_bytes(changed)
    table = read_xpt(path)
    if short:
        raise Lost(f"rows of a file that was cut short: {len(table)} of {number}")
    found = Patients.from_adtte(path, "PFS", arms=seeds.ARMS, causes=seeds.CAUSES)
    whole(found, rows_of(table.columns, "PFS"))


@functools.cache
def _transports(folder: Path) -> list[tuple[int, bytes]]:
    import pandas as pd
    import pyreadstat

    rng, made = random.Random(1), []
    for version in (5, 5, 5, 8):
        columns = seeds.adtte(rng)
        frame = pd.DataFrame({name: values for name, values in columns.items() if name != "PARAM"})
        frame["AVAL"] = frame["AVAL"].astype(float)
        path = folder / "made.xpt"
        pyreadstat.write_xport(frame, str(path), table_name="ADTTE", file_format_version=version)
        made.append((len(frame), path.read_bytes()))
    return made


def _written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    return path


DOORS = {
    "ADTTE": (adtte, 0.14), "courses": (courses, 0.12), "plain table": (plain, 0.16), "MRD": (mrd, 0.12),
    "reconstructions": (reconstructed, 0.08), "earlier trial": (earlier, 0.04), "CSV bytes": (csv_bytes, 0.1),
    "specification": (specification, 0.1), "sealed record": (sealed_record, 0.05), "decision": (decision, 0.02),
    "record of a table": (record_of_table, 0.035), "figure": (figure, 0.015), "Dataset-JSON": (dataset_json, 0.015),
    "SAS transport": (transport, 0.005),
}  # fmt: skip
