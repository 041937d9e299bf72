"""A run of an experiment: trains it, writes down what happened, saves, stops cleanly, goes on where it stopped.

    if __name__ == "__main__":
        main(experiment)            # python my_idea.py --layers 8 --seed 1 --mesh data=8
"""
import dataclasses
import inspect
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from transformer import costs, knobs
from transformer.mistakes import Mistake
from transformer.sharding import mesh_of
from transformer.training import machine
from transformer.training.checkpoints import Checkpoints, DiskFull
from transformer.training.experiment import Experiment
from transformer.training.loop import Diverged, Step, begin, evaluate, promised, train
from transformer.training.records import Records, curve
from transformer.weights import count

Build = Callable[..., Experiment]
GLANCE = 16  # held-out batches looked at on the way; the result is measured on all of them


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run came to."""

    folder: Path
    step: int
    values: dict[str, float]
    met: bool
    stopped: bool = False


def main(build: Build, arguments: Sequence[str] | None = None) -> None:
    """The command line of one experiment: its own knobs, and those of every run."""
    sys.exit(guarded(lambda: _main(build, sys.argv[1:] if arguments is None else arguments)))


def guarded(command: Callable[[], int]) -> int:
    """The command's exit status; a mistake or a full disk becomes one sentence."""
    try:
        return command()
    except Mistake as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except (DiskFull, Diverged) as trouble:
        print(trouble, file=sys.stderr)
        return 1


def _main(build: Build, arguments: Sequence[str]) -> int:
    if {"--help", "-h"} & set(arguments):
        print(help_of(build))
        return 0
    own, options = knobs.parse(arguments, build, run)
    result = run(build, own, **options)
    if result.stopped:
        return 130
    return 1 if options.get("check") and not result.met else 0


def help_of(build: Build) -> str:
    """The experiment's story, its knobs, and those of every run."""
    story = inspect.getdoc(inspect.getmodule(build)) or ""
    lines = [f"  --{name} {p.default}" for function in (build, run) for name, p in knobs.knobs_of(function).items()]
    return "\n".join([story, "", "knobs:", *lines])


def run(build: Build, given: Mapping[str, Any], *, seed: int = 0, mesh: str | None = None,
        resume: bool = False, check: bool = False, dtype: str | None = None, remat: str | None = None,
        accumulate: int | None = None, runs: Path = Path("runs"), coordinator: str | None = None,
        processes: int | None = None, process: int | None = None) -> Result:
    """Runs the experiment that `build` makes of the given knobs, in runs/<name>/<time>.

    `check` is for the caller: it turns a missed threshold into exit status 1.
    """
    machine.remember_compilations()
    machine.join(coordinator, processes, process)
    name = Path(inspect.getfile(build)).stem
    folder, given = _folder(runs / name, dict(given, seed=seed), resume)
    seed = given.pop("seed")
    changes = {"dtype": dtype, "remat": remat, "accumulate": accumulate}
    experiment = dataclasses.replace(build(**given), **{k: v for k, v in changes.items() if v is not None})
    grid = None if mesh is None else mesh_of(mesh)
    began = time.perf_counter()
    with Checkpoints(folder / "checkpoints") as checkpoints:
        if not resume:
            _write_source(folder, build, {**given, "seed": seed})
        state = checkpoints.restore(promised(experiment, grid)) if checkpoints.steps() else begin(experiment, seed, grid)
        print(f"{name}: {count(experiment.model):,} parameters, {experiment.steps} steps on {machine.describe()}"
              f"{f', from step {int(state.step)}' if int(state.step) else ''}; {folder}")
        last = _follow(experiment, seed, grid, state, folder, checkpoints)
        if last.number < experiment.steps:
            print(f"stopped and saved at step {last.number}; go on with --resume")
            return Result(folder, last.number, {}, met=False, stopped=True)
    return _finish(experiment, name, folder, last, grid, time.perf_counter() - began)


def _follow(experiment: Experiment, seed: int, mesh: Mesh | None, state: Any, folder: Path, checkpoints: Checkpoints) -> Step:
    """Goes through the steps: writes each one down while the next is computed, evaluates and saves now and then."""
    start, every = int(state.step), max(experiment.steps // 10, 1)
    peak = costs.peak(jax.devices()[0]) * jax.device_count()
    previous, last = None, Step(start, state, {}, {}, 0)
    with Records(folder, start, experiment.steps) as records, _signals() as asked:
        for last in train(experiment, seed=seed, mesh=mesh, state=state):
            if previous is not None:
                _record(records, folder, previous, peak)
            previous = last
            if last.number % every == 0 or last.number == experiment.steps:
                held = evaluate(experiment, last.state.best, mesh, GLANCE)
                records.write(last.number, {f"held_out{'' if k == 'loss' else '_' + k}": v for k, v in held.items()})
                checkpoints.save(last.number, last.state, held["loss"])
            if asked:
                checkpoints.save(last.number, last.state)
                break
        if previous is not None:
            _record(records, folder, previous, peak)
        checkpoints.wait()
    return last


def _record(records: Records, folder: Path, step: Step, peak: float) -> None:
    values = {name: float(value) for name, value in step.metrics.items()}
    tokens = sum(step.batch[name].size for name in ("tokens", "source", "target") if name in step.batch)
    if values["refused"]:
        kept = folder / f"refused-{step.number}.npz"
        np.savez(kept, **step.batch)
        print(f"step {step.number} refused: loss {values['loss']:.4g}, gradient norm {values['norm']:.4g}; its batch is in {kept}")
    records.write(step.number, values)
    records.progress(step.number, values["loss"], tokens * jax.process_count(), step.flops / peak)


def _finish(experiment: Experiment, name: str, folder: Path, last: Step, mesh: Mesh | None, seconds: float) -> Result:
    """Measures the trained model on all held-out examples, shows what there is to see, writes result.json."""
    model = last.state.best
    values = evaluate(experiment, model, mesh)
    for measure in experiment.measures:
        values.update(measure(model, values))
    expects = experiment.expects
    met = expects is None or expects.met(values[expects.measure])
    baseline = expects.baseline() if expects and callable(expects.baseline) else expects and expects.baseline
    story = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
    if expects is not None:
        story = (f"{expects.measure} {values[expects.measure]:.4f} (threshold {expects.threshold:.4f}: "
                 f"{'met' if met else 'MISSED'}; baseline {baseline:.4f}); {story}")
    if jax.process_index() == 0:
        for show in experiment.shows:
            print(show(model, folder))
        curve(folder, f"{name}: {story.partition(';')[0]}")
        (folder / "result.json").write_text(json.dumps({
            "name": name, "values": values, "expects": expects and {**vars(expects), "baseline": baseline}, "met": met,
            "step": last.number, "minutes": seconds / 60, "parameters": count(experiment.model),
            "machine": machine.describe()}, indent=1) + "\n")
    print(f"{name}: {story}; {seconds / 60:.1f} minutes; {folder}")
    return Result(folder, last.number, values, met)


def _folder(parent: Path, given: dict[str, Any], resume: bool) -> tuple[Path, dict[str, Any]]:
    """A new folder; or the latest there is, with the knobs it was begun with under those given now."""
    if not resume:
        folder = parent / time.strftime("%Y-%m-%d_%H-%M-%S")
        while folder.exists() and jax.process_count() == 1:
            folder = folder.with_name(folder.name + "x")
        folder.mkdir(parents=True, exist_ok=True)
        return folder, given
    folders = sorted(path.parent for path in parent.glob("*/knobs.json"))
    if not folders:
        raise Mistake(f"nothing to resume in {parent}; run once without --resume")
    begun = json.loads((folders[-1] / "knobs.json").read_text())
    return folders[-1], {**begun, **given, "seed": begun["seed"]}


def _write_source(folder: Path, build: Build, given: dict[str, Any]) -> None:
    shutil.copy(inspect.getfile(build), folder / "experiment.py")
    (folder / "knobs.json").write_text(json.dumps(given, indent=1, default=str) + "\n")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM, so that a step is finished and saved; a second one ends at once."""
    asked: list[int] = []

    def hear(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
