"""Every experiment: each of its knobs changes something, it trains, and what it promises is measured."""
import dataclasses
import importlib
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from launch import steps_of

from experiments.__main__ import files
from transformer.data import sources
from transformer.data.batches import batches
from transformer.knobs import knobs_of
from transformer.training.loop import promised
from transformer.training.run import run
from transformer.training.step import step_of
from transformer.weights import named

NAMES = list(files())
TINY = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 32, "rows": 4, "vocab": 320, "steps": 2, "dropout": 0.1}
TEXT = "".join(sources.python_reference()[:3])


def build_of(name):
    return importlib.import_module(f"experiments.{files()[name].parent.name}.{name}").experiment


KNOBS = [(name, knob) for name in NAMES for knob in knobs_of(build_of(name))]


@pytest.fixture(autouse=True)
def little_text(monkeypatch):
    """Half of the reference, so that tokenizers and baselines take no time."""
    topics = sources.python_reference()[:40]
    monkeypatch.setattr(sources, "python_reference", lambda: topics)


def tiny(name, folder):
    """Small values for the knobs that this experiment has."""
    (folder / "text.txt").write_text(TEXT)
    small = {**TINY, "file": folder / "text.txt"}
    return {knob: small[knob] for knob in knobs_of(build_of(name)) if knob in small}


def other(knob, value, folder):
    """Another value of the same kind."""
    if isinstance(value, Path):
        (folder / "other.txt").write_text(TEXT[::-1])
        return folder / "other.txt"
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        pytest.fail(f"say here what else knob {knob} can be than {value!r}")
    return value * 2 if value else type(value)(0.5)


def shapes(experiment):
    return {name: weight.shape for name, weight in named(experiment.model).items()}


def first_batch(experiment):
    return {name: array.tolist() for name, array in batches(experiment.data, experiment.rows, 0)[0].items()}


def fields(experiment):
    plain = (int, float, str, type(None))
    return {field.name: value for field in dataclasses.fields(experiment)
            if isinstance(value := getattr(experiment, field.name), plain)}


def program(experiment):
    """The step as it will be compiled, with the numbers it holds."""
    batch = batches(experiment.data, experiment.rows, 0)[0]
    closed = jax.make_jaxpr(step_of(experiment, 0))(promised(experiment), batch)
    return str(closed), [np.asarray(constant).tolist() for constant in closed.consts]


LOOKS = (fields, shapes, first_batch, program)  # from the cheapest


@pytest.mark.parametrize("name, knob", KNOBS)
def test_every_knob_changes_something(tmp_path, name, knob):
    build, given = build_of(name), tiny(name, tmp_path)
    value = given.get(knob, knobs_of(build)[knob].default)
    one, changed = build(**given), build(**{**given, knob: other(knob, value, tmp_path)})
    assert any(look(one) != look(changed) for look in LOOKS), f"knob {knob} of {name} changes nothing"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_knobs_are_the_same_experiment(tmp_path, name):
    one, again = (build_of(name)(**tiny(name, tmp_path)) for _ in range(2))
    assert all(look(one) == look(again) for look in LOOKS)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_takes_steps_and_has_knobs_with_values(name):
    knobs = knobs_of(build_of(name))
    assert "steps" in knobs and all(type(knob.default) in (int, float, bool, str) or knob.name == "file" for knob in knobs.values())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_held_out_is_learned_from(tmp_path, name):
    experiment = build_of(name)(**tiny(name, tmp_path))
    learned = {experiment.data[row][key].tobytes() for row in range(len(experiment.data))
               for key in ("tokens", "source") if key in experiment.data[row]}
    held = [experiment.held_out[row][key].tobytes() for row in range(len(experiment.held_out))
            for key in ("tokens", "source") if key in experiment.held_out[row]]
    assert held and not learned & set(held)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_trains(tmp_path, capsys, name):
    result = run(build_of(name), tiny(name, tmp_path), runs=tmp_path / "runs")
    assert result.folder.parent == tmp_path / "runs" / name and result.step == 2
    (_, first), (_, second) = steps_of(result.folder)
    assert np.isfinite([first, second]).all() and all(np.isfinite(value) for value in result.values.values())
    written = json.loads((result.folder / "result.json").read_text())
    expects = build_of(name)(**tiny(name, tmp_path)).expects
    assert expects is not None and expects.measure in result.values
    assert written["expects"]["baseline"] > 0 and written["met"] is False  # two steps are not enough
    said = capsys.readouterr().out
    assert f"{name}: {expects.measure} " in said and "MISSED" in said and len(said.splitlines()) > 2
