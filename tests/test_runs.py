"""A run writes down what happened, refuses bad steps, stops when told to and goes on where it stopped."""
import dataclasses
import io
import itertools
import json
import linecache
import math
import os
import random
import re
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launch import HERE, begun, ended, killed, steps_of, wait_for_step
from little import experiment
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from transformer.data.batches import batches
from transformer.data.examples import examples
from transformer.mistakes import Mistake
from transformer.training import records
from transformer.training import run as of_runs
from transformer.training.checkpoints import Checkpoints, DiskFull
from transformer.training.loop import promised, train
from transformer.training.records import Records
from transformer.training.run import main, run
from transformer.training.stage import Outcome
from transformer.weights import named

SLOW = pytest.mark.slow
LITTLE = HERE / "little.py"


def final(folder, build=experiment, **given):
    """All arrays of the newest checkpoint, by name."""
    with Checkpoints(folder / "checkpoints") as checkpoints:
        return {name: np.asarray(x) for name, x in named(checkpoints.restore(promised(build(**given)))).items()}


def same(one, other):
    """Bit for bit."""
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


def handlers():
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


@pytest.fixture(scope="module")
def before():
    """What became of a signal before any run."""
    return handlers()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, before):
    """An uninterrupted run of twenty steps: with dropout, micro-batches and averaged weights."""
    return run(experiment, {}, runs=tmp_path_factory.mktemp("finished"))


# What it leaves behind


@SLOW
def test_a_run_says_what_it_came_to(finished):
    result = json.loads((finished.folder / "result.json").read_text())
    assert result["name"] == "little" and result["step"] == 20 and result["met"] is True and finished.met
    assert 0 < result["minutes"] < 10 and result["parameters"] == 8688 and jax.__version__ in result["machine"]
    values = result["values"]
    assert result["expects"] == [{"stage": "", "measure": "bits_per_byte", "value": values["bits_per_byte"], "threshold": 8.0,
                                  "baseline": 8.0, "above": False, "met": True}]
    assert result["loss"] == "next_token" and result["seed"] == 0 and result["smoke"] is False
    assert values == finished.values and values["bits_per_byte"] == pytest.approx(values["nats"] / math.log(2))
    assert 2 < values["nats"] < 5.5  # below the 5.7 nats of having learned nothing


def test_a_run_keeps_its_source_and_all_its_knobs(finished):
    assert (finished.folder / "experiment.py").read_text() == LITTLE.read_text()
    knobs = json.loads((finished.folder / "knobs.json").read_text())
    assert knobs["experiment"]["layers"] == 1 and knobs["experiment"]["rate"] == 1e-2 and knobs["run"]["seed"] == 0


def test_a_run_draws_its_curve(finished):
    picture = (finished.folder / "curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000


def test_every_step_is_written_down_once_and_in_order(finished):
    steps = steps_of(finished.folder)
    assert [step for step, _ in steps] == list(range(1, 21))
    assert [step for step, _ in steps_of(finished.folder, "held_out")] == list(range(2, 21, 2))
    assert steps[-1][1] < steps[0][1] - 1


def test_tensorboard_reads_the_same_numbers(finished):
    (path,) = finished.folder.glob("events.out.tfevents.*")
    found = [(event.step, value.simple_value) for raw in RawEventFileLoader(str(path)).Load()
             for event in [Event.FromString(raw)] for value in event.summary.value if value.tag == "loss"]
    assert found == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in steps_of(finished.folder)]


def test_the_progress_line(tmp_path, monkeypatch):
    clock = iter([100.0, 110.0, 111.0, 121.0, 122.0])
    monkeypatch.setattr("transformer.training.records.time.perf_counter", lambda: next(clock))
    screen = io.StringIO()
    with Records(tmp_path, 4, 200, screen) as lines:
        for step, loss in ((5, 3.0), (15, 2.5), (16, 2.4), (26, 2.0), (200, 1.0)):
            lines.progress(step, loss, tokens=4000, share=0.3)
    # A step a second since the first, which came after compiling; no more than a line every ten seconds, and the last.
    assert screen.getvalue().splitlines() == [
        "step 15/200  loss 2.5000  4,000 tokens/s  30 % of peak  3:05 left",
        "step 26/200  loss 2.0000  4,000 tokens/s  30 % of peak  2:54 left",
        "step 200/200  loss 1.0000  35,455 tokens/s  266 % of peak  0:00 left"]


def test_a_number_that_is_none_is_none_in_json(tmp_path):
    with Records(tmp_path, 0, 2, io.StringIO()) as lines:
        lines.write(1, {"loss": math.nan, "norm": math.inf, "refused": 1.0})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": null, "norm": null, "refused": 1.0}\n'


# Going on


def stop_at(step, monkeypatch, act):
    """Does something when this step is written down."""
    write = Records.write

    def watched(self, number, values):
        write(self, number, values)
        if number == step and "norm" in values:
            act()

    monkeypatch.setattr(Records, "write", watched)


@SLOW
@pytest.mark.parametrize("step", [13, *(pytest.param(step, marks=SLOW) for step in (1, 20))])
def test_a_run_cut_short_goes_on_to_the_same_weights(finished, tmp_path, monkeypatch, step):
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="lights out"):
        stop_at(step, patch, lambda: (_ for _ in ()).throw(RuntimeError("lights out")))
        run(experiment, {}, runs=tmp_path)
    resumed = run(experiment, {}, runs=tmp_path, resume=True)
    assert same(final(resumed.folder), final(finished.folder))
    assert steps_of(resumed.folder) == steps_of(finished.folder)
    assert steps_of(resumed.folder, "held_out") == steps_of(finished.folder, "held_out")
    assert resumed.values == finished.values


@SLOW
def test_a_killed_run_goes_on_to_the_same_weights(finished, tmp_path):
    steps = 200
    plain = run(experiment, {"steps": steps}, runs=tmp_path / "plain")
    for _ in range(2):
        process = begun(LITTLE, "--steps", steps, *(["--resume"] if (tmp_path / "runs").exists() else []), where=tmp_path)
        wait_for_step(process, tmp_path / "runs", random.randint(1, steps - 40))
        killed(process)
    status, said, complained = ended(begun(LITTLE, "--resume", where=tmp_path))
    assert status == 0, complained
    (folder,) = (tmp_path / "runs" / "little").iterdir()
    assert same(final(folder), final(plain.folder))
    assert steps_of(folder) == steps_of(plain.folder)


@SLOW
def test_a_run_cut_short_just_after_saving_lacks_no_line(finished, tmp_path, monkeypatch):
    save = Checkpoints.save

    def last_act(self, step, *rest):
        save(self, step, *rest)
        if step == 12:
            raise RuntimeError("lights out")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="lights out"):
        patch.setattr(Checkpoints, "save", last_act)
        run(experiment, {}, runs=tmp_path)
    assert steps_of(run(experiment, {}, runs=tmp_path, resume=True).folder) == steps_of(finished.folder)


@SLOW
def test_a_seed_of_nought_is_another_seed(tmp_path):
    run(experiment, {"steps": 1}, runs=tmp_path, seed=3)
    with pytest.raises(Mistake, match="seed 0 was given, but .* was begun with seed 3"):
        run(experiment, {}, runs=tmp_path, resume=True, seed=0)
    assert run(experiment, {"steps": 2}, runs=tmp_path, resume=True).step == 2


@SLOW
def test_a_resumed_run_keeps_its_knobs_unless_others_are_given(tmp_path, monkeypatch):
    first = run(experiment, {"steps": 2, "dropout": 0.0}, runs=tmp_path, seed=3, accumulate=1)
    second = run(experiment, {"steps": 4}, runs=tmp_path, resume=True)
    assert second.folder == first.folder and second.step == 4
    knobs = json.loads((first.folder / "knobs.json").read_text())
    assert knobs["experiment"] | {"steps": 4, "dropout": 0.0} == knobs["experiment"]
    assert knobs["run"] == {"seed": 3, "dtype": None, "remat": None, "accumulate": 1, "smoke": None, "mesh": None}
    plain = run(experiment, {"steps": 4, "dropout": 0.0}, runs=tmp_path / "plain", seed=3, accumulate=1)
    assert steps_of(first.folder) == steps_of(plain.folder)


@SLOW
def test_the_newest_run_is_resumed(tmp_path):
    for steps in (1, 2):
        newest = run(experiment, {"steps": steps}, runs=tmp_path)
    assert run(experiment, {}, runs=tmp_path, resume=True).folder == newest.folder


@pytest.mark.parametrize("given, options, sentence", [
    ({"layers": 2}, {}, r"checkpoint 20 .* another model or optimizer: model\..* has shape \(1, .* there and \(2, .* here"),
    ({"embed": 32}, {}, r"model\..* has shape .*16.* there and .*32.* here"),
    ({}, {"seed": 7}, "seed 7 was given, but .* was begun with seed 0; leave it out"),
    ({"colour": 1}, {}, "no knob 'colour'.*; there are dropout, embed, file"),
])
def test_what_cannot_go_on_says_what_differs(finished, given, options, sentence):
    before = {path: path.read_bytes() for path in finished.folder.rglob("*") if path.is_file()}
    with pytest.raises(Mistake, match=sentence):
        run(experiment, given, runs=finished.folder.parent.parent, resume=True, **options)
    assert before == {path: path.read_bytes() for path in finished.folder.rglob("*") if path.is_file()}


def test_the_options_of_a_run_reach_the_experiment(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(of_runs, "followed", lambda experiment, *_: seen.append(experiment) or Outcome(0, None, stopped=15))
    run(experiment, {}, runs=tmp_path, dtype="bfloat16", remat="full", accumulate=4)
    assert [(one.dtype, one.remat, one.accumulate) for one in seen] == [("bfloat16", "full", 4)]


@SLOW
def test_a_run_in_bfloat16_says_almost_the_same_with_weights_in_float32():
    wide, narrow = (list(train(dataclasses.replace(experiment(), steps=2, dtype=dtype))) for dtype in ("float32", "bfloat16"))
    losses = [float(steps[0].metrics["loss"]) for steps in (wide, narrow)]
    assert losses[0] != losses[1] and abs(losses[0] - losses[1]) < 5e-2
    assert {x.dtype for x in jax.tree.leaves(narrow[-1].state.model)} == {jnp.dtype(jnp.float32)}


@SLOW
def test_the_average_remembers_the_weights_of_all_steps():
    seen = []
    for step in train(dataclasses.replace(experiment(), steps=3, average=0.2)):
        seen.append((np.array(step.state.average.tokens.table), np.array(step.state.model.tokens.table), np.array(step.state.best.tokens.table)))
    for number, ((before, *_), (average, model, best)) in enumerate(itertools.pairwise(seen), start=1):
        kept = min(0.2, (1 + number) / (10 + number))
        np.testing.assert_allclose(average, kept * before + (1 - kept) * model, rtol=1e-5, atol=1e-7)
        assert (best == average).all() and not np.allclose(average, model)


# Stopping


@SLOW
@pytest.mark.parametrize("number, status", [pytest.param(signal.SIGINT, 130, marks=SLOW), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_stops(finished, tmp_path, monkeypatch, capsys, number, status):
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        stop_at(6, patch, lambda: os.kill(os.getpid(), number))
        main(experiment, ["--runs", str(tmp_path)])
    assert stop.value.code == status
    said, _ = capsys.readouterr()
    (folder,) = (tmp_path / "little").iterdir()
    saved = max(int(path.name) for path in (folder / "checkpoints").iterdir())
    last = steps_of(folder)[-1][0]
    assert 7 <= saved == last <= 9 and f"stopped and saved at step {saved}; go on with --resume" in said
    with pytest.raises(SystemExit) as done:
        main(experiment, ["--runs", str(tmp_path), "--resume"])
    assert done.value.code == 0
    assert same(final(folder), final(finished.folder)) and steps_of(folder) == steps_of(finished.folder)


def test_a_signal_at_the_last_step_is_heard_too(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(20, patch, lambda: os.kill(os.getpid(), signal.SIGTERM))
        cut = run(experiment, {}, runs=tmp_path)
    assert cut.stopped == signal.SIGTERM and not (cut.folder / "result.json").exists()
    assert run(experiment, {}, runs=tmp_path, resume=True).step == 20 and (cut.folder / "result.json").exists()


def test_signals_are_heard_again_after_a_run(before, finished):
    assert handlers() == before


@SLOW
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_told_to_stop_leaves_cleanly(tmp_path, number, status):
    process = begun(LITTLE, "--steps", 100_000, where=tmp_path)
    wait_for_step(process, tmp_path / "runs", 5)
    process.send_signal(number)
    code, said, complained = ended(process)
    assert code == status and "stopped and saved at step" in said and "Traceback" not in complained
    (folder,) = (tmp_path / "runs" / "little").iterdir()
    assert f"at step {steps_of(folder)[-1][0]};" in said


# Steps that are not followed


def spoilt(bad_steps, value, usual=1.0):
    """The little experiment, with a loss `value` times its size for the rows that some steps see, and `usual` times for all others."""

    def build(steps: int = 20):
        plain = experiment(steps=steps)
        columns = {**plain.data.arrays, "number": np.arange(len(plain.data)), "times": np.full(len(plain.data), usual, np.float32)}
        order = batches(examples(**columns), plain.rows, 0)
        for step in bad_steps:
            columns["times"][order[step - 1]["number"]] = value

        def loss(model, batch, key):
            total, weight, metrics = plain.loss(model, batch, key)
            return total * (batch["times"].max() if "times" in batch else 1), weight, metrics

        return dataclasses.replace(plain, data=examples(**columns), loss=loss)

    return build


@SLOW
@pytest.mark.parametrize("value, said", [(math.nan, "loss nan"), (1e6, "loss [0-9.]+e.06")])
def test_a_bad_step_is_refused_and_told(tmp_path, capsys, value, said):
    build = spoilt([6], value)
    five, six = (run(build, {"steps": steps}, runs=tmp_path / str(steps)) for steps in (5, 6))
    before, after = (final(result.folder, build) for result in (five, six))
    changed = {name.partition(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert changed <= {"step", "refused", "average"}
    assert after["refused"] == 1 and before["refused"] == 0
    out = capsys.readouterr().out
    kept = six.folder / "refused-6.npz"
    assert re.search(f"^step 6 refused: {said}, gradient norm .*; its batch is in {kept}$", out, re.MULTILINE)
    with np.load(kept) as saved:
        expected = batches(build().data, 8, 0)[5]
        np.testing.assert_equal(dict(saved), expected)
    assert [line["refused"] for line in records.read(six.folder) if "norm" in line] == [0] * 5 + [1]


@SLOW
def test_one_bad_step_or_two_are_survived(tmp_path):
    result = run(spoilt([4, 5, 9], math.nan), {"steps": 10}, runs=tmp_path)
    assert result.step == 10 and result.values["nats"] < 5
    assert sorted(path.name for path in result.folder.glob("refused*")) == ["refused-4.npz", "refused-5.npz", "refused-9.npz"]


@SLOW
def test_gradients_that_grow_from_almost_nothing_do_not_explode(tmp_path):
    result = run(spoilt([4, 5, 6], 1.0, usual=1e-4), {"steps": 10}, runs=tmp_path)
    assert result.step == 10 and not list(result.folder.glob("refused*"))


@SLOW
@pytest.mark.parametrize("steps", [10, pytest.param(6, marks=SLOW)])
def test_three_bad_steps_in_a_row_end_the_run(tmp_path, capsys, steps):
    with pytest.raises(SystemExit) as stop:
        main(spoilt([4, 5, 6], math.nan), ["--runs", str(tmp_path), "--steps", str(steps)])
    assert stop.value.code == 1
    complained = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("step ")]
    assert len(complained) == 1 and complained[0].startswith("3 steps in a row up to step 6 had a gradient that is not finite")
    assert len(list(tmp_path.glob("*/*/refused-*.npz"))) == 3


# A full disk


@SLOW
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), *(pytest.param(error, marks=SLOW) for error in (
    ValueError("RESOURCE_EXHAUSTED: disk"), OSError(27, "File too large")))])
def test_a_full_disk_is_told_in_one_sentence(tmp_path, monkeypatch, capsys, error):
    def full():
        raise error

    stop_at(7, monkeypatch, full)
    with pytest.raises(SystemExit) as stop:
        main(experiment, ["--runs", str(tmp_path)])
    complained = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("step ")]
    assert stop.value.code == 1 and len(complained) == 1
    assert complained[0].startswith("no room to write in ") and "free some space and run again with --resume" in complained[0]


@SLOW
def test_other_errors_are_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    stop_at(2, monkeypatch, lambda: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output") as raised:
        run(experiment, {}, runs=tmp_path)
    assert not isinstance(raised.value, DiskFull)


@SLOW
def test_after_a_really_full_disk_the_last_checkpoint_restores(tmp_path):
    good = run(experiment, {}, runs=tmp_path / "runs")
    before = final(good.folder)

    # No file may grow beyond 60,000 bytes, and a checkpoint has one that does.
    small_files = (f"import os, resource, runpy, sys; os.environ['JAX_ENABLE_COMPILATION_CACHE'] = 'false'; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
                   f"sys.argv[0] = {str(LITTLE)!r}; runpy.run_path(sys.argv[0], run_name='__main__')")
    status, _, complained = ended(begun("-c", small_files, "--resume", "--steps", 40, where=tmp_path))
    told = [line for line in complained.splitlines() if not line.startswith("step ")]
    assert status == 1 and len(told) == 1 and told[0].startswith("no room to write in "), complained
    assert same(final(good.folder), before)
    status, _, complained = ended(begun(LITTLE, "--resume", "--steps", 40, where=tmp_path))
    assert status == 0, complained
    assert [step for step, _ in steps_of(good.folder)] == list(range(1, 41))


# Where an experiment may come from


@SLOW
def test_an_experiment_may_be_written_in_a_notebook(tmp_path):
    source = "def experiment(layers: int = 1, steps: int = 2):\n    return little(layers=layers, steps=steps)\n"
    for cell, known in (("<cell 1>", True), ("<cell 2>", False)):
        space = {"little": experiment}
        exec(compile(source, cell, "exec"), space)
        if known:
            linecache.cache[cell] = (len(source), None, source.splitlines(True), cell)
        result = run(space["experiment"], {"layers": 1}, runs=tmp_path / cell)
        assert result.folder.parent.name == "experiment" and result.step == 2
        assert (result.folder / "experiment.py").exists() == known
    with pytest.raises(Mistake, match="no knob 'layres' .did you mean --layers"):
        run(space["experiment"], {"layres": 1}, runs=tmp_path)


@SLOW
def test_the_readme_s_own_experiment_runs_anywhere_as_it_is_typed_there(tmp_path):
    readme = (HERE.parent / "README.md").read_text()
    code, typed = re.search(
        r'```python\n("""my_idea.py.*?)```\n\n```bash\nuv run python (.*?)\n```', readme, re.DOTALL).groups()
    (tmp_path / "my_idea.py").write_text(code)
    (tmp_path / "README.md").write_text(readme)
    status, said, complained = ended(begun(*typed.split(), "--layers", 1, "--steps", 2, where=tmp_path, devices=2))
    assert status == 0, complained
    assert "my_idea: loss" in said
    (folder,) = (tmp_path / "runs" / "my_idea").iterdir()
    assert (folder / "result.json").exists()


@SLOW
def test_missing_the_number_matters_only_when_asked(tmp_path):
    def hard(steps: int = 1):
        plain = experiment(steps=steps)
        return dataclasses.replace(plain, expects=[dataclasses.replace(plain.expects[0], threshold=0.1)])

    for arguments, status in (([], 0), (["--check"], 1)):
        with pytest.raises(SystemExit) as stop:
            main(hard, ["--runs", str(tmp_path), *arguments])
        assert stop.value.code == status
