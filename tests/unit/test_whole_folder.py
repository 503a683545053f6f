"""A folder of results is replaced whole, whenever its writer is killed; what could not be replaced is refused at once."""

import contextlib
import ctypes
import os
import random
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from smm_bayes import interruption
from smm_bayes.analysis import folder as module
from smm_bayes.analysis.folder import resolved, whole_folder
from smm_bayes.analysis.outputs import check_out
from smm_bayes.errors import OutputError, SpecificationError
from smm_bayes.interruption import Interruption, interruptible, listening, uninterrupted

FILES = ("decision.json", "posterior.nc", "report.html", "manifest.json")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def write(out, tag, seconds=0.0, say=lambda _: None):
    with whole_folder(out) as building:
        for name in FILES:
            (building / name).write_bytes(tag.encode() * 2000)
            time.sleep(seconds / len(FILES))
        say(b"last")


def forked(work):
    """Do work that gives an exit code in a process of its own; an interruption ends it as the command line."""
    number = os.fork()
    if number:
        return number
    code = 70
    try:
        with listening() as heard:
            try:
                code = work()
            except KeyboardInterrupt:
                code = 130 if "nothing" in heard.words else 131
            os._exit(code)
    finally:
        os._exit(code)


def child(out, tag, seconds, pipe):
    """Write a folder in a process of its own."""
    def work():
        os.write(pipe, b"begun")
        write(out, tag, seconds, lambda text: os.write(pipe, text))
        return 0

    return forked(work)


def tag_of(out):
    """The one result that is there; a set of several, or of none, is no result."""
    while True:
        try:
            found = {(out / name).read_bytes()[:8].decode() for name in FILES}
        except FileNotFoundError:
            if not out.exists():
                return None
            continue  # exchanged while it was read
        return found.pop() if len(found) == 1 else found


def kill_many(root, rng, at_random, aimed):
    out = root / "out"
    write(out, "t0000000")
    done = {"old": 0, "new": 0}
    for number in range(1, at_random + aimed + 1):
        before, was, tag = tag_of(out), {"out", *os.listdir(root)}, f"t{number:07d}"
        reading, writing = os.pipe()
        process = child(out, tag, 0.05 if number <= at_random else 0.0, writing)
        os.read(reading, 5)
        if number > at_random:
            os.read(reading, 4)
        time.sleep(rng.uniform(0, 0.08 if number <= at_random else 0.004))
        chosen = rng.choice(SIGNALS)
        os.kill(process, chosen)
        _, status = os.waitpid(process, 0)
        os.close(reading), os.close(writing)
        after, code = tag_of(out), os.waitstatus_to_exitcode(status)
        assert after in (before, tag), (number, chosen, before, after)
        assert code in ({-signal.SIGKILL, 0} if chosen == signal.SIGKILL else {0, 130, 131}), (number, chosen, code)
        if code >= 0:
            assert (code != 130) == (after == tag), "what is said of the results is true"
            left = set(os.listdir(root)) - was  # those that were killed before it clean nothing
            assert not left, (number, chosen, code, left)
        done["new" if after == tag else "old"] += 1
    write(out, "tthelast")
    assert tag_of(out) == "tthelast"
    assert os.listdir(root) == ["out"]  # nothing is left of the dead
    return done


def test_killed_at_any_time_the_old_or_the_new_results_are_there(tmp_path):
    done = kill_many(tmp_path, random.Random(1), 25, 75)
    assert min(done.values()) > 10


def test_without_an_exchange_results_moved_away_are_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_exchange", lambda *_: False)
    out = tmp_path / "out"
    write(out, "t1")
    write(out, "t2")
    assert tag_of(out) == "t2" * 4
    out.rename(tmp_path / ".out.smm-bayes-old")  # as a run leaves it that dies between two steps
    with pytest.raises(KeyError), whole_folder(out):
        assert tag_of(out) == "t2" * 4
        raise KeyError
    assert os.listdir(tmp_path) == ["out"]


def test_results_are_exchanged_in_one_step(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    (tmp_path / "a" / "old").touch()
    assert module._exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b" / "old").exists()


def test_results_are_never_away_while_they_are_replaced(tmp_path, monkeypatch):
    out, rename = tmp_path / "out", os.rename
    write(out, "t1")

    def watched(*places):
        try:
            rename(*places)
        finally:
            assert out.exists()

    monkeypatch.setattr(module.os, "rename", watched)
    write(out, "t2")
    assert tag_of(out) == "t2" * 4


def test_the_current_folder_and_those_above_it_are_refused(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for out in (".", "..", "../here", "/", tmp_path):
        with pytest.raises(SpecificationError, match=r"the current folder, which cannot be replaced.*give a folder inside"):
            check_out(Path(out))


def test_links_are_followed_and_stay(tmp_path):
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "far/results")
    for tag in ("first", "again"):
        write(link, tag)
        assert link.is_symlink()
        assert (tmp_path / "far/results/decision.json").read_text().startswith(tag)
    assert os.listdir(tmp_path / "far") == ["results"]


def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for out in (tmp_path / "a", tmp_path / "nul\0", tmp_path / ("x" * 300)):
        with pytest.raises(SpecificationError, match="give another folder"):
            resolved(out)


def test_a_second_run_into_one_folder_is_refused(tmp_path):
    with whole_folder(tmp_path / "out"):
        with pytest.raises(SpecificationError, match=r"another run is writing to --out .*wait"), whole_folder(tmp_path / "out"):
            pass
        write(tmp_path / "other", "t")
    assert sorted(os.listdir(tmp_path)) == ["other", "out"]


def test_folders_made_on_the_way_are_removed_again(tmp_path):
    with pytest.raises(KeyError), whole_folder(tmp_path / "a/b/out"):
        raise KeyError
    assert not any(tmp_path.iterdir())


@contextmanager
def mounted(folder):
    folder.mkdir()
    if ctypes.CDLL(None).mount(str(folder).encode(), str(folder).encode(), None, 4096, None):
        pytest.skip("mounting takes root")
    try:
        yield folder
    finally:
        ctypes.CDLL(None).umount2(str(folder).encode(), 2)


def test_a_mount_point_is_refused_at_once_and_a_folder_in_it_serves(tmp_path):
    with mounted(tmp_path / "out") as out:
        with pytest.raises(SpecificationError, match=r"mount point.*give a folder inside it, such as .*out/interim"), \
                whole_folder(out):
            raise AssertionError("nothing may be computed")
        write(out / "interim", "t")
        assert tag_of(out / "interim") == "tttttttt"
    assert os.listdir(tmp_path) == ["out"]


def test_finished_results_that_lost_their_place_are_kept(tmp_path):
    """Another program puts a file of its own there meanwhile: neither that nor the results are lost."""
    out = tmp_path / "out"
    write(out, "t")
    with pytest.raises(OutputError, match=r"could not be put at \S+out .*thesis.*; they are in (\S+)") as raised, \
            whole_folder(out, lambda: check_out(out)) as building:
        (building / "decision.json").write_text("new")
        (out / "thesis.tex").write_text("mine")
    kept = Path(str(raised.value).rsplit(" ", 1)[1])
    assert (kept / "decision.json").read_text() == "new"
    assert (out / "thesis.tex").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["out", kept.name]
    assert raised.value.exit_code == 3


def test_an_interruption_waits_for_what_must_be_whole_and_is_not_forgotten():
    with pytest.raises(KeyboardInterrupt), listening() as heard:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard.heard
        raise AssertionError("not reached")
    with pytest.raises(KeyboardInterrupt), listening():
        with suppress(KeyboardInterrupt):  # somebody swallowed it
            os.kill(os.getpid(), signal.SIGTERM)
        with uninterrupted(), interruptible():
            raise AssertionError("nothing is begun after an interruption")
    with pytest.raises(KeyboardInterrupt), listening(), uninterrupted():
        with interruptible(), suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("nothing is replaced after an interruption")
    assert Interruption.current() is None


def interrupted_at(step, out):
    """Write a folder in a process of its own that has a signal before the step-th line of the modules that do it."""
    counted, modules = 0, (module.__file__, interruption.__file__, contextlib.__file__)

    def trace(frame, event, _):
        nonlocal counted
        if frame.f_code.co_filename not in modules:
            return None
        counted += event == "line"
        if event == "line" and counted == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return trace

    def work():
        sys.settrace(trace)
        write(out, "new")
        return 0 if counted < step else 70

    return os.waitstatus_to_exitcode(os.waitpid(forked(work), 0)[1])


def test_interrupted_before_any_line_nothing_is_left_and_what_is_said_is_true(tmp_path):
    ended = []
    for step in range(1, 1000):
        root = tmp_path / str(step)
        root.mkdir()
        write(root / "out", "old")
        ended.append(interrupted_at(step, root / "out"))
        assert os.listdir(root) == ["out"], step
        assert tag_of(root / "out")[:3] == ("old" if ended[-1] == 130 else "new"), (step, ended[-1])
        if not ended[-1]:
            break
    assert len(ended) > 100
    assert set(ended) == {130, 131, 0}


def test_an_interruption_that_python_swallows_comes_again(capfd):
    class Swallower:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    before = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), listening():
        thing = Swallower()
        del thing
        time.sleep(5)
        raise AssertionError("not reached")
    assert not capfd.readouterr().err
    assert sys.unraisablehook is before


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


