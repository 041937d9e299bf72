"""What a run has trained: its experiment, made again of what the run wrote down, and the weights that it was measured by.

    experiment, model = trained("runs/gpt2")        the latest of that name, or runs/gpt2/TIME
"""
import contextlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformer import knobs
from transformer.mistakes import Mistake
from transformer.training.checkpoints import measured
from transformer.training.experiment import Experiment, Stages, Trained, stages
from transformer.training.loop import promised

MODULE = "experiment_of_a_run"


def is_run(path: str | Path) -> bool:
    """Whether there is a run in this folder, or in one of those in it."""
    return (Path(path) / "knobs.json").is_file() or any(Path(path).glob("*/knobs.json"))


def trained(path: str | Path) -> tuple[Experiment, Any]:
    """The experiment and its weights; of several stages the last that has any."""
    folder = _folder(Path(path))
    program = stages(_built(folder))
    stage, model = next(program), None
    with contextlib.suppress(StopIteration):
        following = stage
        while (checkpoints := folder / following.stage / "checkpoints").is_dir():
            stage, model = following, measured(checkpoints, promised(following), following.validation is not None).best
            following = program.send(Trained(stage.model, model, _values(folder / stage.stage)))
    if model is None:
        raise Mistake(f"the run {folder} has no checkpoints; let it get as far as its first")
    return stage, model


def _built(folder: Path) -> Experiment | Stages:
    """The experiment, from its source as it was and the knobs it was given."""
    written = json.loads((folder / "knobs.json").read_text())
    build = _function(folder / "experiment.py", written.get("build", "experiment"), written.get("folder", ""))
    try:
        return build(**knobs.fitted(written["experiment"], build))
    except NameError as error:
        raise Mistake(f"{folder / 'experiment.py'} cannot be run again by itself ({error}): "
                      f"an experiment that is to be used later belongs in a file") from None


def _values(folder: Path) -> dict[str, float]:
    """What was measured on a stage that is done."""
    path = folder / "result.json"
    return json.loads(path.read_text())["values"] if path.exists() else {}


def _folder(path: Path) -> Path:
    folders = [path] if (path / "knobs.json").is_file() else sorted(file.parent for file in path.glob("*/knobs.json"))
    if not folders:
        raise Mistake(f"there is no run in {path}; give runs/NAME or runs/NAME/TIME")
    return folders[-1]


def _function(source: Path, name: str, neighbours: str) -> Callable[..., Experiment | Stages]:
    """A function of a file, which may import what lay beside it when it was run."""
    spec = importlib.util.spec_from_file_location(MODULE, source)
    if spec is None or spec.loader is None or not source.is_file():
        raise Mistake(f"there is no {source}, the experiment's own source, without which its model cannot be made again")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # where dataclasses look themselves up
    sys.path.insert(0, neighbours)
    try:
        spec.loader.exec_module(module)
    except (ImportError, NameError) as error:
        raise Mistake(f"{source} cannot be run again by itself ({error}): "
                      f"an experiment that is to be used later belongs in a file") from None
    finally:
        sys.path.remove(neighbours)
    return getattr(module, name)
