"""One stage of a run: trains it, writes down what happens, saves, stops cleanly, goes on where it stopped; measures the end."""
import contextlib
import dataclasses
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from transformer import costs
from transformer.training import machine
from transformer.training.checkpoints import Checkpoints, room_in
from transformer.training.experiment import Expectation, Experiment, Trained
from transformer.training.loop import Step, begin, evaluate, examine, promised, train
from transformer.training.records import Records, curve
from transformer.training.step import State
from transformer.weights import count

GLANCE = 16  # held-out batches looked at on the way; the result is measured on all of them


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the stages of a run share."""

    name: str
    folder: Path
    seed: int
    mesh: Mesh | None
    smoke: bool = False  # whole, but for two steps and one batch to measure: does everything work?

    @property
    def devices(self) -> int:
        return 1 if self.mesh is None else self.mesh.size


@dataclasses.dataclass(frozen=True)
class Judged:
    """An expectation, and what came of it."""

    stage: str
    measure: str
    value: float
    threshold: float
    baseline: float
    above: bool
    met: bool

    @classmethod
    def of(cls, stage: str, expected: Expectation, value: float) -> "Judged":
        baseline = expected.baseline() if callable(expected.baseline) else expected.baseline
        threshold = baseline if expected.threshold is None else expected.threshold
        met = value >= threshold if expected.above else value <= threshold
        return cls(stage, expected.measure, value, threshold, baseline, expected.above, met)

    def __str__(self) -> str:
        stage = f"{self.stage}: " if self.stage else ""
        return (f"{stage}{self.measure} {self.value:.4f}, baseline {self.baseline:.4f}, "
                f"threshold {self.threshold:.4f} {'met' if self.met else 'MISSED'}")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a stage came to; of one that was stopped, only how far it got."""

    step: int
    trained: Trained
    judged: tuple[Judged, ...] = ()
    stopped: int = 0  # by this signal


def followed(experiment: Experiment, setting: Setting, fits: Callable[[], None]) -> Outcome:
    """The stage to its end or to the one after a signal, from its last checkpoint if there is one, which `fits`, as is then said."""
    if setting.smoke:
        experiment = dataclasses.replace(experiment, steps=min(experiment.steps, 2))
    examine(experiment, setting.mesh)
    folder = setting.folder / experiment.stage
    name = "/".join(filter(None, (setting.name, experiment.stage)))
    folder.mkdir(exist_ok=True)
    with room_in(folder), Checkpoints(folder / "checkpoints") as checkpoints:
        if checkpoints.steps():
            state = checkpoints.restore(promised(experiment, setting.mesh))
            fits()
        else:
            state = begin(experiment, setting.seed, setting.mesh)
        done = _done(folder) if experiment.stage else None
        if done is None:
            machine.say(f"{name}: {count(experiment.model):,} parameters, {experiment.steps} steps on "
                        f"{machine.describe(setting.devices)}{f', from step {int(state.step)}' if int(state.step) else ''}; {folder}")
        last, stopped = _trained(experiment, setting, state, folder, checkpoints)
        if stopped:
            machine.say(f"stopped and saved at step {last.number}; go on with --resume")
            return Outcome(last.number, Trained(experiment.model, last.state.best, {}), stopped=stopped)
        best = last.state.best
        if experiment.validation is not None:
            best = checkpoints.restore(promised(experiment, setting.mesh), checkpoints.best()).best
    if done is not None:
        return Outcome(last.number, Trained(experiment.model, best, done[0]), done[1])
    outcome = _measured(experiment, setting, name, folder, last.number, best)
    if experiment.stage and jax.process_index() == 0:
        (folder / "result.json").write_text(json.dumps(
            {"values": outcome.trained.values, "expects": [vars(one) for one in outcome.judged]}, indent=1) + "\n")
    return outcome


def _done(folder: Path) -> tuple[dict[str, float], tuple[Judged, ...]] | None:
    """What a stage that was finished before came to."""
    path = folder / "result.json"
    if not path.exists():
        return None
    result = json.loads(path.read_text())
    return result["values"], tuple(Judged(**one) for one in result["expects"])


def _trained(experiment: Experiment, setting: Setting, state: State, folder: Path, checkpoints: Checkpoints) -> tuple[Step, int]:
    """Goes through the steps, to the last or to the one after a signal: writes down, evaluates and saves now and then."""
    start, every, stopped = int(state.step), max(experiment.steps // 10, 1), 0
    peak = costs.peak(jax.local_devices()[0], experiment.dtype) * setting.devices
    glanced = dataclasses.replace(experiment, held_out=experiment.validation or experiment.held_out)
    last, unwritten, vote = Step(start, state, {}, {}, 0), [], 0
    with _records(folder, start, experiment.steps) as records, _signals() as heard:
        for last in train(experiment, seed=setting.seed, mesh=setting.mesh, state=state):
            unwritten.append(last)
            done = last.number == experiment.steps
            # All processes stop at the same step: each tells the others what it heard, and reads the answer a step later.
            vote, stopped = machine.highest(max(heard, default=0)), int(vote)
            saving = done or stopped or last.number % every == 0
            # Numbers are read a step late, so that the device never waits; what is saved has them all written down.
            while len(unwritten) > (0 if saving else 1):
                _record(records, folder, unwritten.pop(0), experiment.rows, peak)
            if stopped:
                checkpoints.save(last.number, last.state)
                break
            if saving:
                held = evaluate(glanced, last.state.best, setting.mesh, 1 if setting.smoke else GLANCE)
                if records:
                    records.write(last.number, {f"held_out{'' if k == 'loss' else '_' + k}": v for k, v in held.items()})
                checkpoints.save(last.number, last.state, held["loss"])
        checkpoints.wait()
        # What was heard since the last vote counts too: another stage may follow.
        return last, stopped or int(machine.highest(max(heard, default=0)))


def _measured(experiment: Experiment, setting: Setting, name: str, folder: Path, step: int, model: Any) -> Outcome:
    """The trained model on all held-out examples, against what is expected of it, and what there is to see."""
    values = evaluate(experiment, model, setting.mesh, 1 if setting.smoke else None)
    for measure in experiment.measures:
        values.update(measure(model, values))
    judged = tuple(Judged.of(experiment.stage, one, values[one.measure]) for one in experiment.expects)
    seen = machine.gathered(model) if experiment.shows else None
    if jax.process_index() == 0:
        for show in experiment.shows:
            print(show(seen, folder))
        story = [f"{one.measure} {one.value:.4f}, baseline {one.baseline:.4f}" for one in judged] or [f"loss {values['loss']:.4f}"]
        curve(folder, f"{name}: {'; '.join(story)}")
    machine.say(f"{name}: {'; '.join(f'{key} {value:.4f}' for key, value in values.items())}")
    return Outcome(step, Trained(experiment.model, model, values), judged)


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
