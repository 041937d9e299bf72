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
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from transformer import knobs
from transformer.mistakes import Mistake
from transformer.pages import huge_pages
from transformer.sharding import mesh_of
from transformer.training import machine
from transformer.training.checkpoints import DiskFull
from transformer.training.experiment import Experiment, Stages, stages
from transformer.training.loop import Diverged, examine
from transformer.training.stage import Outcome, Setting, followed
from transformer.weights import count

Build = Callable[..., Experiment | Stages]


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
    except BrokenPipeError:  # whoever read what was printed has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted; what was saved before can go on with --resume", file=sys.stderr)
        return 128 + signal.SIGINT


def _main(build: Build, arguments: Sequence[str]) -> int:
    if {"--help", "-h"} & set(arguments):
        print(help_of(build))
        return 0
    own, options = knobs.parse(arguments, build, run)
    if options.get("smoke"):
        machine.compile_in_haste()
    result = run(build, own, **options)
    if result.stopped:
        return 128 + result.stopped
    return 1 if options.get("check") and not result.met else 0


def help_of(build: Build) -> str:
    """The experiment's story, its knobs, and those of every run."""
    story = inspect.getdoc(inspect.getmodule(build)) or ""
    lines = [f"  --{name.rstrip('_')} {p.default}" for function in (build, run) for name, p in knobs.knobs_of(function).items()]
    return "\n".join([story, "", "knobs:", *lines])


def run(build: Build, given: Mapping[str, Any], *, seed: int | None = None, mesh: str | None = None,
        resume: bool = False, check: bool = False, smoke: bool = False, dtype: str | None = None, remat: str | None = None,
        accumulate: int | None = None, runs: Path = Path("runs"), coordinator: str | None = None,
        processes: int | None = None, process: int | None = None) -> Result:
    """Runs the experiment that `build` makes of the given knobs, stage by stage, in runs/<name>/<time>.

    `check` is for the caller: it turns a missed threshold into exit status 1. `smoke` runs all of it at toy size, with
    what the experiment's file gives as SMOKE under the given knobs, to see that it works.
    """
    machine.remember_compilations()
    machine.join(coordinator, processes, process)
    name = _name(build)
    options = {"seed": seed, "dtype": dtype, "remat": remat, "accumulate": accumulate, "smoke": smoke or None, "mesh": mesh}
    folder = _latest(runs / name) if resume else None
    if folder is not None:
        given, options = _begun(folder, given, options)
        if options.get("mesh") != mesh:
            machine.say(f"{folder} was begun with --mesh {options['mesh']}, and goes on without a mesh: give one to have it again")
    options["seed"] = options["seed"] or 0
    small: dict[str, Any] = {}
    if options["smoke"]:
        small = getattr(inspect.getmodule(build), "SMOKE", {})
    given = knobs.fitted({**small, **given}, build)
    changes = {option: options[option] for option in ("dtype", "remat", "accumulate") if options[option] is not None}
    # Several processes always train one model: without a mesh each would train its own.
    grid = mesh_of(mesh or "data=-1") if mesh or jax.process_count() > 1 else None
    program, outcomes, began = stages(build(**given)), [], time.perf_counter()
    experiment = next(program)
    examine(dataclasses.replace(experiment, **changes), grid)
    if folder is None:
        folder = _new(runs / name)
        _write_down(folder, build, given, options)
    setting = Setting(name, folder, options["seed"], grid, bool(options["smoke"]))
    with contextlib.suppress(StopIteration):
        while True:
            outcome = followed(dataclasses.replace(experiment, **changes), setting,
                               lambda: _write_down(setting.folder, build, given, options))
            if outcome.stopped:
                return Result(folder, outcome.step, {}, met=False, stopped=outcome.stopped)
            outcomes.append((experiment, outcome))
            experiment = program.send(outcome.trained)
    return _finish(outcomes, setting, build, given, time.perf_counter() - began)


def _finish(outcomes: Sequence[tuple[Experiment, Outcome]], setting: Setting, build: Build, given: Mapping[str, Any],
            seconds: float) -> Result:
    """What all stages came to, as result.json and in a sentence; the last one's numbers are the run's."""
    changed = {name: str(value) for name, value in given.items() if value != knobs.knobs_of(build)[name].default}
    experiment, last = outcomes[-1]
    judged = [one for _, outcome in outcomes for one in outcome.judged]
    met = all(one.met for one in judged) or setting.smoke
    values = dict(last.trained.values)
    if jax.process_index() == 0:
        (setting.folder / "result.json").write_text(json.dumps({
            "name": setting.name, "shape": Path(inspect.getfile(build)).parent.name, "loss": _loss(experiment),
            "corpus": experiment.corpus, "values": values, "expects": [vars(one) for one in judged], "met": met,
            "stages": {stage.stage: dict(outcome.trained.values) for stage, outcome in outcomes if stage.stage},
            "step": last.step, "seed": setting.seed, "smoke": setting.smoke, "changed": changed, "minutes": seconds / 60,
            "parameters": count(experiment.model), "machine": machine.describe(setting.devices)}, indent=1) + "\n")
    said = [str(one) for one in judged] or [f"loss {values['loss']:.4f}"]
    machine.say(f"{setting.name}: {'; '.join(said)}; {seconds / 60:.1f} minutes; {setting.folder}")
    return Result(setting.folder, last.step, values, met)


def _loss(experiment: Experiment) -> str:
    """What it learned by, as it is called in losses.py."""
    loss: Any = experiment.loss
    while isinstance(loss, partial):
        loss = loss.func
    return getattr(loss, "__name__", type(loss).__name__)


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
    if options["seed"] not in (None, seed):
        raise Mistake(f"seed {options['seed']} was given, but {folder} was begun with seed {seed}; "
                      f"leave it out, or start a new run without --resume")
    now = {option: value for option, value in options.items() if value is not None}
    return {**begun["experiment"], **given}, {**begun["run"], **now, "seed": seed}


def _write_down(folder: Path, build: Build, given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """The experiment's own source and all its knobs, so that the run can be understood and resumed."""
    if jax.process_index() == 0:
        every = {**{name: knob.default for name, knob in knobs.knobs_of(build).items()}, **given}
        written = {"experiment": every, "run": options, **_origin(build)}
        (folder / "knobs.json").write_text(json.dumps(written, indent=1, default=str) + "\n")
        file, copy = Path(inspect.getfile(build)), folder / "experiment.py"
        if not copy.exists():
            with contextlib.suppress(OSError):  # what was typed at a prompt has no source
                copy.write_text(file.read_text() if file.exists() else inspect.getsource(build))


def _origin(build: Build) -> dict[str, str]:
    """The name of the function, and the folder of its file, where it may have neighbours that it imports."""
    return {"build": build.__name__, "folder": str(Path(inspect.getfile(build)).absolute().parent)}
