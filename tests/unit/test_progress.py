"""Progress is shown to who looks, and to nobody else; an interruption ends in one sentence."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from smm_bayes import progress
from smm_bayes.analysis import run_interim
from smm_bayes.errors import IncompleteError
from smm_bayes.inference.sampling import FitProgress, telling
from smm_bayes.interruption import Interrupted, in_one_sentence, listening
from smm_bayes.progress import counting, live, silent

WORK = """
import time
from smm_bayes.progress import live
with live() as tell:
    for done in range(30):
        if tell: tell(done, 30, "counting")
        time.sleep(0.1)
print("done", tell is not None)
"""
SLOW = """
import time
from smm_bayes.interruption import in_one_sentence

def deep(level):
    time.sleep(30) if not level else deep(level - 1)

@in_one_sentence("The work was interrupted; there is no result.")
def work():
    print("working", flush=True)
    deep(20)

work()
"""


def on_a_terminal(code):
    """Give what a program writes on a terminal."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen([sys.executable, "-P", "-c", code], stdout=theirs, stderr=theirs,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": "120"})  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 4096):
            said += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert program.wait() == 0
    return said.decode()


def test_a_terminal_shows_a_bar_with_the_time_left():
    said = on_a_terminal(WORK)
    assert "counting" in said
    assert "left" in said
    assert "done True" in said


def test_a_pipe_shows_nothing():
    done = subprocess.run([sys.executable, "-P", "-c", WORK], capture_output=True, text=True, check=True)
    assert done.stdout == "done False\n"
    assert done.stderr == ""


@pytest.fixture(scope="module")
def kernel():
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", env=dict(os.environ))
    yield client, manager
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def executed(client, code, *, looked_at):
    """Give the messages of a cell: who looks at a notebook can be asked, who executes it as a program cannot."""
    said = []
    client.execute_interactive(code, allow_stdin=looked_at, timeout=120, output_hook=said.append)
    return said


def test_a_notebook_that_is_looked_at_shows_a_bar_and_takes_it_away(kernel):
    said = executed(kernel[0], WORK, looked_at=True)
    shown = [one["content"]["data"] for one in said if one["msg_type"] in ("display_data", "update_display_data")]
    assert len(shown) > 5
    assert any("<progress value=" in data["text/html"] for data in shown)
    assert any("counting" in data["text/plain"] and "left" in data["text/plain"] for data in shown)
    assert shown[-1]["text/html"] == "<span></span>"
    assert shown[-1]["text/plain"] == ""


def test_a_notebook_that_is_executed_shows_nothing(kernel):
    said = executed(kernel[0], WORK, looked_at=False)
    assert [one["content"]["text"] for one in said if one["msg_type"] == "stream"] == ["done False\n"]
    assert not any(one["msg_type"] == "display_data" for one in said)


def test_an_interrupted_notebook_shows_one_sentence(kernel):
    client, manager = kernel
    threading.Timer(3.0, manager.interrupt_kernel).start()
    said = executed(client, SLOW, looked_at=True)
    (error,) = [one["content"] for one in said if one["msg_type"] == "error"]
    assert error["traceback"] == ["The work was interrupted; there is no result."]


def test_an_interrupted_program_shows_a_few_lines():
    program = subprocess.Popen([sys.executable, "-P", "-c", SLOW.replace("work()\n", "work()\n", 1)], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # fmt: skip
    program.stdout.readline()
    time.sleep(0.5)
    program.send_signal(signal.SIGINT)
    said = program.communicate(timeout=60)[1]
    assert said.splitlines()[-1] == "smm_bayes.interruption.Interrupted: The work was interrupted; there is no result."
    assert "deep" not in said
    assert len(said.splitlines()) < 10


@pytest.mark.parametrize("error", [KeyboardInterrupt(), IncompleteError("not complete")], ids=repr)
def test_what_is_interrupted_says_so_unless_the_command_line_does(error):
    @in_one_sentence("Nothing came of it.")
    def work():
        raise error

    with pytest.raises(Interrupted, match=r"^Nothing came of it\.$") as ended:
        work()
    assert ended.value.__cause__ is None
    assert ended.value.__context__ is None
    with listening(), pytest.raises(type(error)) as ended:
        work()
    assert not isinstance(ended.value, Interrupted)


def test_an_interim_analysis_that_is_interrupted_says_so():
    class Pressed:
        others = ()

        @property
        def final(self):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="The interim analysis was interrupted; there is no result of it"):
        run_interim(Pressed(), seed=1)


def test_bars_are_not_nested_and_may_be_silent(monkeypatch):
    monkeypatch.setattr(progress, "_screen", lambda: progress._terminal)
    with live() as outer, live() as inner:
        assert outer is not None
        assert inner is None
    with silent(), live() as held:
        assert held is None
    with live() as again:
        assert again is not None


def test_another_thread_shows_nothing(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "_kernel", lambda: None)
    found = []
    thread = threading.Thread(target=lambda: found.append(progress._screen()))
    thread.start()
    thread.join()
    assert found == [None]
    assert progress._screen() is progress._terminal


def test_who_wants_to_be_told_is_told_and_no_bar_is_shown(monkeypatch):
    told, said = [], []

    def record():
        told.append(1)
        return progress._terminal

    monkeypatch.setattr(progress, "_screen", record)
    with telling(said.append) as tell:
        tell(FitProgress(1, 2, 0, 1))
    with telling(False) as tell:
        assert tell is None
    assert said == [FitProgress(1, 2, 0, 1)]
    assert not told
    with telling(None) as tell:
        assert tell is not None
    assert told == [1]


def test_what_is_counted_is_told_as_asked(monkeypatch):
    told, shown = [], []

    @contextmanager
    def screen():
        yield lambda *state: shown.append(state)

    monkeypatch.setattr(progress, "_screen", lambda: screen)
    for asked in (lambda *state: told.append(state), False, None):
        with counting(asked, "completing the trial") as tell:
            tell(1, 2)
    assert told == [(1, 2)]
    assert shown == [(1, 2, "completing the trial")]
