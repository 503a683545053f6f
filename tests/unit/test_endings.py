"""How a command ends: each kind of ending has its own exit code and one sentence; files of the current folder are not run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smm_bayes import cli
from smm_bayes.errors import OutputError

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "models/mgus2/spec.toml"


def end(monkeypatch, failure, *arguments):
    """Run the command line with something in it that fails."""
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr("smm_bayes.evidence.load_facts", fail)
    monkeypatch.setattr("sys.argv", ["smm-bayes", *(arguments or ("evidence",))])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize("failure", [ValueError("two\nlines"), EOFError(), MemoryError(), RecursionError(), OSError(5, "disk"),
                                     AssertionError("x")], ids=repr)  # fmt: skip
def test_a_fault_of_ours_has_an_exit_code_of_its_own(monkeypatch, capsys, tmp_path, failure):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert end(monkeypatch, failure) == 70
    said = capsys.readouterr().err
    sentence = said.strip().splitlines()[-1]
    assert sentence.startswith(f"This is a fault of smm-bayes, not of your input: {type(failure).__name__}")
    (kept,) = tmp_path.iterdir()
    assert str(kept) in sentence
    assert "Traceback (most recent call last)" in kept.read_text()
    assert "Traceback" not in said


def test_the_traceback_is_printed_where_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("SMM_BAYES_DEBUG", "1")
    assert end(monkeypatch, ValueError("x")) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_closed_pipe_is_no_fault(monkeypatch, capsys):
    assert end(monkeypatch, BrokenPipeError(32, "Broken pipe")) == 141
    assert "fault" not in capsys.readouterr().err


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ValueError("what an interruption became")], ids=repr)
def test_an_interruption_is_one_whatever_it_became(monkeypatch, capsys, failure):
    def interrupted(*_, **__):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except KeyboardInterrupt:
            raise failure from None

    monkeypatch.setattr("smm_bayes.evidence.load_facts", interrupted)
    monkeypatch.setattr("sys.argv", ["smm-bayes", "evidence"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted; nothing was written.\n"


def test_results_that_cannot_be_written_have_the_exit_code_of_outputs(monkeypatch, capsys):
    assert end(monkeypatch, OutputError("the disk is full")) == 3
    assert capsys.readouterr().err == "Error: the disk is full\n"


def children(process):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False).stdout.split()
    return [int(one) for one in found] + [inner for one in found for inner in children(int(one))]


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize(("number", "after"), [(signal.SIGTERM, "loading the sampler"), (signal.SIGINT, "sampling"),
                                               (signal.SIGTERM, "writing the report")])  # fmt: skip
def test_interrupted_at_any_stage_nothing_is_left_and_no_process_lives_on(tmp_path, number, after):
    """Files of the current folder that have names of modules are not run meanwhile."""
    for name in ("numpy", "typer", "papermill", "matplotlib", "xarray", "smm_bayes", "IPython"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'EXECUTED')!r}, 'w').write('x')")
    before = sorted(tmp_path.iterdir())
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "smm_bayes.cli", "interim", SPEC, "--out", "deep/out"], cwd=tmp_path, text=True,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    while not (line := process.stderr.readline()).startswith(after):
        assert line, "it ended before"
    time.sleep(3)
    family = children(process.pid)
    assert family or after == "loading the sampler"
    process.send_signal(number)
    out, said = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    assert said.splitlines()[-1] == "Interrupted; nothing was written."
    assert "Traceback" not in said
    deadline = time.monotonic() + 90  # on a busy machine; a kernel looks for its parent once a second
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [one for one in family if alive(one)]
    assert sorted(tmp_path.iterdir()) == before
