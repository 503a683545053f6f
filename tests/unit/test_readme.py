"""The example of the README runs as it is printed, on a file of the repository."""

import re
from pathlib import Path

import smm_bayes as smm

ROOT = Path(__file__).parents[2]


def example():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    return block


def test_example_names_a_file_of_the_repository():
    (named,) = re.findall(r'"([^"]+\.csv)"', example())
    assert (ROOT / named).is_file()


def test_example_runs(monkeypatch, capsys):
    """With fewer draws than it has by default; everything else is as printed."""
    honest, complete = smm.fit, smm.probability_of_success
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(smm, "fit", lambda model, **given: honest(model, **{"draws": 400, "tune": 300, **given}))
    monkeypatch.setattr(smm, "probability_of_success",
                        lambda *values, **given: complete(*values, **{"replicates": 1000, **given}))  # fmt: skip
    exec(compile(example(), "README.md", "exec"), {"__name__": "__readme__"})
    said = capsys.readouterr().out
    assert 0 <= float(re.search(r"probability of success (\d\.\d+)", said)[1]) <= 1
