"""A run of an experiment: trains it, writes down what happened, saves, stops cleanly, goes on where it stopped.

    if __name__ == "__main__":
        main(experiment)            # python my_idea.py --layers 8 --seed 1 --mesh data=8

Exit status: 0 done; 1 cut short by a full disk or by steps that diverge, or, with --check, short of its threshold;
2 a mistake in what was given; 130 stopped by Ctrl-C and 143 by SIGTERM, saved, to go on with --resume.
"""
import contextlib
import dataclasses
import inspect
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from transformer import costs, knobs
from transformer.mistakes import Mistake
from transformer.pages import huge_pages
from transformer.sharding import mesh_of
from transformer.training import machine
from transformer.training.checkpoints import Checkpoints, DiskFull, room_in
from transformer.training.experiment import Experiment
from transformer.training.loop import Diverged, Step, begin, evaluate, examine, promised, train
from transformer.training.records import Records, curve
from transformer.training.step import State
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
    stopped: int = 0  # by this signal


def main(build: Build, arguments: Sequence[str] | None = None) -> None:
    """The command line of one experiment: its own knobs, and those of every run."""
    if arguments is None:
        huge_pages()
    sys.exit(guarded(lambda: _main(build, sys.argv[1:] if arguments is None else arguments)))


def guarded(command: Callable[[], int]) -> int:
    """The command's exit status; a mistake, a full disk or a lost cause becomes one sentence."""
    try:
        return command()
    except Mistake as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except (DiskFull, Diverged) as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was saved before can go on with --resume", file=sys.stderr)
        return 128 + signal.SIGINT


def _main(build: Build, arguments: Sequence[str]) -> int:
    if {"--help", "-h"} & set(arguments):
        print(help_of(build))
        return 0
    own, options = knobs.parse(arguments, build, run)
    result = run(build, own, **options)
    if result.stopped:
        return 128 + result.stopped
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
    name, options = _name(build), {"seed": seed, "dtype": dtype, "remat": remat, "accumulate": accumulate}
    folder = _latest(runs / name) if resume else None
    if folder is not None:
        given, options = _begun(folder, given, options)
    given = knobs.fitted(given, build)
    changes = {option: value for option, value in options.items() if option != "seed" and value is not None}
    experiment = dataclasses.replace(build(**given), **changes)
    # Several processes always train one model: without a mesh each would train its own.
    grid = mesh_of(mesh or "data=-1") if mesh or jax.process_count() > 1 else None
    examine(experiment, grid)
    if folder is None:
        folder = _new(runs / name)
        _write_down(folder, build, given, options)
    began = time.perf_counter()
    with room_in(folder), Checkpoints(folder / "checkpoints") as checkpoints:
        if checkpoints.steps():
            state = checkpoints.restore(promised(experiment, grid))
            _write_down(folder, build, given, options)  # now that they are known to fit
        else:
            state = begin(experiment, options["seed"], grid)
        machine.say(f"{name}: {count(experiment.model):,} parameters, {experiment.steps} steps on "
                    f"{machine.describe(_devices(grid))}{f', from step {int(state.step)}' if int(state.step) else ''}; {folder}")
        last, stopped = _follow(experiment, options["seed"], grid, state, folder, checkpoints)
        if stopped:
            machine.say(f"stopped and saved at step {last.number}; go on with --resume")
            return Result(folder, last.number, {}, met=False, stopped=stopped)
        return _finish(experiment, name, folder, last, grid, time.perf_counter() - began)


def _follow(experiment: Experiment, seed: int, mesh: Mesh | None, state: State, folder: Path,
            checkpoints: Checkpoints) -> tuple[Step, int]:
    """Goes through the steps, to the last or to the one after a signal: writes down, evaluates and saves now and then."""
    start, every, stopped = int(state.step), max(experiment.steps // 10, 1), 0
    peak = costs.peak(jax.local_devices()[0]) * _devices(mesh)
    last, unwritten, vote = Step(start, state, {}, {}, 0), [], 0
    with _records(folder, start, experiment.steps) as records, _signals() as heard:
        for last in train(experiment, seed=seed, mesh=mesh, state=state):
            unwritten.append(last)
            done = last.number == experiment.steps
            # All processes stop at the same step: each tells the others what it heard, and reads the answer a step later.
            vote, stopped = machine.highest(max(heard, default=0)), 0 if done else int(vote)
            saving = done or stopped or last.number % every == 0
            # Numbers are read a step late, so that the device never waits; what is saved has them all written down.
            while len(unwritten) > (0 if saving else 1):
                _record(records, folder, unwritten.pop(0), experiment.rows, peak)
            if stopped:
                checkpoints.save(last.number, last.state)
                break
            if saving:
                held = evaluate(experiment, last.state.best, mesh, GLANCE)
                if records:
                    records.write(last.number, {f"held_out{'' if k == 'loss' else '_' + k}": v for k, v in held.items()})
                checkpoints.save(last.number, last.state, held["loss"])
        checkpoints.wait()
    return last, stopped


def _records(folder: Path, start: int, steps: int) -> contextlib.AbstractContextManager[Records | None]:
    """The first process writes; what the others compute is the same."""
    return Records(folder, start, steps) if jax.process_index() == 0 else contextlib.nullcontext()


def _record(records: Records | None, folder: Path, step: Step, rows: int, peak: float) -> None:
    values = {name: float(value) for name, value in step.metrics.items()}
    if values["refused"]:
        kept = folder / f"refused-{step.number}{f'-process-{jax.process_index()}' if jax.process_count() > 1 else ''}.npz"
        np.savez(kept, **step.batch)  # pyright: ignore[reportArgumentType]
        machine.say(f"step {step.number} refused: loss {values['loss']:.4g}, gradient norm {values['norm']:.4g}; "
                    f"its batch is in {kept}")
    if records:
        records.write(step.number, values)
        tokens = sum(rows * step.batch[name][0].size for name in ("tokens", "source", "target") if name in step.batch)
        records.progress(step.number, values["loss"], tokens, step.flops / peak)


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
    headline = story
    if expects is not None:
        headline = f"{expects.measure} {values[expects.measure]:.4f}, baseline {baseline:.4f}"
        story = f"{headline}, threshold {expects.threshold:.4f} {'met' if met else 'MISSED'}; {story}"
    seen = machine.gathered(model) if experiment.shows else None
    if jax.process_index() == 0:
        for show in experiment.shows:
            print(show(seen, folder))
        curve(folder, f"{name}: {headline}")
        (folder / "result.json").write_text(json.dumps({
            "name": name, "values": values, "expects": expects and {**vars(expects), "baseline": baseline}, "met": met,
            "step": last.number, "minutes": seconds / 60, "parameters": count(experiment.model),
            "machine": machine.describe(_devices(mesh))}, indent=1) + "\n")
    machine.say(f"{name}: {story}; {seconds / 60:.1f} minutes; {folder}")
    return Result(folder, last.number, values, met)


def _devices(mesh: Mesh | None) -> int:
    return 1 if mesh is None else mesh.size


def _name(build: Build) -> str:
    """That of its file; of the function itself, when it was written in a notebook."""
    file = Path(inspect.getfile(build))
    return file.stem if file.exists() else build.__name__


def _new(parent: Path) -> Path:
    """A folder named by the time, the same in all processes."""
    folder = parent / time.strftime("%Y-%m-%d_%H-%M-%S")
    while folder.exists():
        folder = folder.with_name(folder.name + "x")
    folder = parent / machine.agreed(folder.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Mistake(f"cannot make the folder {folder} ({error.strerror}); give another place with --runs") from None
    return folder


def _latest(parent: Path) -> Path:
    folders = sorted(path.parent for path in parent.glob("*/knobs.json"))
    if not folders:
        raise Mistake(f"nothing to resume in {parent}; run once without --resume")
    return parent / machine.agreed(folders[-1].name)


def _begun(folder: Path, given: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The knobs and options that a run was begun with, under those given now."""
    begun = json.loads((folder / "knobs.json").read_text())
    seed = begun["run"]["seed"]
    if options["seed"] not in (0, seed):
        raise Mistake(f"seed {options['seed']} was given, but {folder} was begun with seed {seed}; "
                      f"leave it out, or start a new run without --resume")
    now = {option: value for option, value in options.items() if value is not None}
    return {**begun["experiment"], **given}, {**begun["run"], **now, "seed": seed}


def _write_down(folder: Path, build: Build, given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """The experiment's own source and all its knobs, so that the run can be understood and resumed."""
    if jax.process_index() == 0:
        every = {**{name: knob.default for name, knob in knobs.knobs_of(build).items()}, **given}
        (folder / "knobs.json").write_text(json.dumps({"experiment": every, "run": options}, indent=1, default=str) + "\n")
        file, copy = Path(inspect.getfile(build)), folder / "experiment.py"
        if not copy.exists():
            with contextlib.suppress(OSError):  # what was typed at a prompt has no source
                copy.write_text(file.read_text() if file.exists() else inspect.getsource(build))


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM, so that a step is finished and saved; a second one ends at once."""
    heard: list[int] = []

    def hear(number: int, frame: Any) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
