"""The store and the engine: outputs are whole or absent, whatever happens while they are made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder import engine
from builder.errors import AsrboxError
from builder.step import Step, Work
from builder.store import Store

EPOCH = 1_795_305_600


def write(work: Work, _: object) -> None:
    (work.out / "file").write_text(work.options["text"] * work.options.get("times", 1))


def fail(work: Work, _: object) -> None:
    (work.out / "half").write_text("half-made")
    work.log.write_text("the last words of a program\n")
    raise AsrboxError("it broke", hint="mend it")


def make(root: Path, name: str, text: str = "x", function: object = write, **parts: object) -> Step:
    options = {"text": text, **parts.pop("options", {})}  # type: ignore[dict-item]
    return Step(name, function, EPOCH, root, options=options, **parts)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def build(store: Store, *goals: Step) -> list[engine.Outcome]:
    with store.writing():
        return engine.build(list(goals), store, store.path.parent / "logs")


def test_a_second_build_reuses_everything(tmp_path: Path, store: Store) -> None:
    base = make(tmp_path, "base")
    top = make(tmp_path, "top", inputs={"base": base})
    assert [outcome.reused for outcome in build(store, top)] == [False, False]
    assert [outcome.reused for outcome in build(store, top)] == [True, True]
    assert (store.out(top) / "file").read_text() == "x"


def test_explain_says_why_before_and_after(tmp_path: Path, store: Store) -> None:
    build(store, make(tmp_path, "base", "one"))
    changed = make(tmp_path, "base", "two")
    text = engine.explain(engine.plan([changed], store), done=False)
    assert "to build" in text
    assert "because the option text changed: one → two" in text
    assert "rebuilt" in engine.explain(build(store, changed), done=True)
    assert "reused" in engine.explain(engine.plan([changed], store), done=False)


def test_a_failed_step_leaves_nothing_but_its_log(tmp_path: Path, store: Store) -> None:
    with pytest.raises(AsrboxError) as failure:
        build(store, make(tmp_path, "bad", function=fail))
    assert failure.value.message == "bad: it broke"
    assert "mend it; the log is kept in" in str(failure.value)
    assert list(store.tmp.iterdir()) == []
    assert list(store.objects.iterdir()) == []


def test_no_space_left_is_said_plainly(tmp_path: Path, store: Store) -> None:
    def full(work: Work, _: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(AsrboxError, match="full: there is no space left on the disk of .*\n  hint: free some space"):
        build(store, make(tmp_path, "full", function=full))


def test_independent_steps_run_side_by_side(tmp_path: Path, store: Store) -> None:
    meeting = threading.Barrier(2, timeout=20)  # neither passes alone

    def meet(work: Work, _: object) -> None:
        meeting.wait()
        (work.out / "met").touch()

    one, two = make(tmp_path, "one", function=meet), make(tmp_path, "two", function=meet)
    with store.writing():
        outcomes = engine.build([one, two], store, tmp_path / "logs", workers=2)
    assert [outcome.reused for outcome in outcomes] == [False, False]


def test_the_longest_unused_leaves_first_and_what_is_used_stays(tmp_path: Path, store: Store) -> None:
    steps = [make(tmp_path, f"s{n}", str(n), options={"times": 1000}) for n in range(3)]
    for age, step in zip((300, 200, 100), steps, strict=True):
        build(store, step)
        record = store.objects / step.id / "step.json"
        os.utime(record, (time.time() - age, time.time() - age))
    with store.writing():
        assert store.evict(keep={steps[0].id}, limit=2000) == [steps[1].id]
    assert store.has(steps[0])
    assert store.has(steps[2])


def test_a_second_build_is_told_who_holds_the_lock(store: Store) -> None:
    told = f"in use by process {os.getpid()}, since .*\n  hint: wait for it"
    second = Store(store.path).writing(wait=False)
    with store.writing(), pytest.raises(AsrboxError, match=told), second:
        raise AssertionError("two builds held one store")


def test_a_second_build_waits(store: Store) -> None:
    order: list[str] = []

    def second() -> None:
        with Store(store.path).writing():
            order.append("second")

    thread = threading.Thread(target=second)
    with store.writing():
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


CHILD = """
import sys, time
from pathlib import Path
from builder import engine
from builder.step import Step, Work
from builder.store import Store

def slow(work: Work, _):
    for number in range(10_000):
        (work.out / f"file{number}").write_text("x" * 100)
        if number == 50:
            print("half", flush=True)

root = Path(sys.argv[1])
store = Store(root / "store")
with store.writing():
    engine.build([Step("slow", slow, 1, root)], store, root / "logs")
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_build_that_is_ended_leaves_nothing_half_made(tmp_path: Path, store: Store, sign: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "half\n"
        child.send_signal(sign)
        child.wait(60)
    whole = [path for path in store.objects.iterdir() if len(list((path / "out").iterdir())) == 10_000]
    assert list(store.objects.iterdir()) == whole
    with store.writing():
        assert list(store.tmp.iterdir()) == []
