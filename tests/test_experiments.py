"""Every experiment: each of its knobs changes something, it trains at toy size, and what it promises is measured."""
import dataclasses
import functools
import importlib
import inspect
import json
from pathlib import Path
from typing import Literal, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launch import steps_of

from experiments.__main__ import files
from experiments.new import begun
from transformer import costs
from transformer.data import sources, tokenizers
from transformer.data.batches import batches
from transformer.data.examples import Columns, examples
from transformer.data.masking import masked
from transformer.data.pairing import enclosed
from transformer.knobs import knobs_of
from transformer.training.experiment import Experiment, Trained, stages
from transformer.training.loop import promised
from transformer.training.run import run
from transformer.training.step import step_of
from transformer.weights import abstract, cast_floats, named

NAMES = list(files())
READS_A_TEXT = ("shakespeare", "bard")  # the user's; what else can be read has tests of its own
TEXT = "".join(sources.python_reference()[:3])


class Anything(dict):
    """Numbers measured on what was never trained."""

    def __missing__(self, name):
        return 0.5


def module_of(name):
    return importlib.import_module(f"experiments.{files()[name].parent.name}.{name}")


@pytest.fixture(scope="session")
def some_files():
    return [*sources.standard_library_files()][::8]


@pytest.fixture(autouse=True)
def little_text(monkeypatch, some_files):
    """Half of the reference and an eighth of the library, so that tokenizers and baselines take no time."""
    topics = sources.python_reference()[:40]
    monkeypatch.setattr(sources, "python_reference", lambda: topics)
    monkeypatch.setattr(sources, "standard_library_files", lambda: iter(some_files))


def tiny(name, folder):
    """The knobs of a smoke run, and a file for those who want one."""
    given = dict(module_of(name).SMOKE)
    if name in READS_A_TEXT:
        (folder / "text.txt").write_text(TEXT)
        given["file"] = folder / "text.txt"
    return given


def built(name, given):
    """All stages of an experiment, as if the ones before had been trained and had learned nothing."""
    program, found = stages(module_of(name).experiment(**given)), []
    experiment = next(program)
    while experiment:
        found.append(experiment)
        nothing = jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), abstract(experiment.model))
        try:
            experiment = program.send(Trained(experiment.model, nothing, Anything()))
        except StopIteration:
            return found
    return found


def other(name, knob, value, folder):
    """Another value of the same kind."""
    if name in READS_A_TEXT and knob.name == "file":
        (folder / "other.txt").write_text(TEXT[::-1])
        return folder / "other.txt"
    if get_origin(knob.annotation) is Literal:
        return next(choice for choice in get_args(knob.annotation) if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        pytest.fail(f"knob {knob.name} of {name} is a text: say which there are, as in Literal['gru', 'lstm']")
    return value * 2 if value else type(value)(0.5) or 1


def looks(experiment):
    """What can be seen of an experiment without running it, from the cheapest."""
    plain = (int, float, str, type(None))
    yield lambda: {field.name: value for field in dataclasses.fields(experiment)
                   if isinstance(value := getattr(experiment, field.name), plain)}
    yield lambda: {path: weight.shape for path, weight in named(experiment.model).items()}
    yield lambda: (len(experiment.data), len(experiment.held_out))
    yield lambda: [(key, array.tolist()) for batch in (batches(experiment.data, experiment.rows, 0)[0], experiment.held_out[0])
                   for key, array in (batch or {}).items()]
    yield lambda: str(jax.tree.structure(experiment.model))
    yield lambda: getattr(experiment.loss, "keywords", None)
    yield lambda: [held(function) for function in (*experiment.measures, *experiment.shows)]
    yield functools.partial(_update, experiment)
    yield functools.partial(_program, experiment)


def held(value, depth=4):
    """The plain values that a function, or what it holds, was made with."""
    if isinstance(value, (int, float, str, bytes, type(None))):
        return value
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, Columns):
        return {name: (array.shape, array[:1].tolist()) for name, array in value.arrays.items()}
    if depth == 0:
        return type(value).__name__
    if isinstance(value, functools.partial):
        return [held(part, depth - 1) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, dict):
        return {str(name): held(part, depth - 1) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [len(value), *(held(part, depth - 1) for part in value[:20])]
    if inspect.isfunction(value):
        return [value.__name__, *(held(cell.cell_contents, depth - 1) for cell in value.__closure__ or ())]
    return type(value).__name__


def _update(experiment):
    """What the optimizer does to a gradient, with the numbers it holds."""
    shapes = abstract(experiment.model)
    state = jax.eval_shape(experiment.optimizer.init, shapes)
    return _said(jax.make_jaxpr(experiment.optimizer.update)(shapes, state, shapes))


def _program(experiment):
    """The step as it will be compiled."""
    batch = batches(experiment.data, experiment.rows, 0)[0]
    return _said(jax.make_jaxpr(step_of(experiment, 0))(promised(experiment), batch))


def _said(closed):
    return str(closed), [np.asarray(constant).tolist() for constant in closed.consts]


def differ(ones, others):
    """Whether two lists of stages can be told apart."""
    if len(ones) != len(others):
        return True
    pairs = [zip(looks(one), looks(another), strict=True) for one, another in zip(ones, others, strict=True)]
    return any(look() != peer() for level in zip(*pairs, strict=True) for look, peer in level)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_knob_changes_something(tmp_path, name):
    given, plain = tiny(name, tmp_path), None
    for knob in knobs_of(module_of(name).experiment).values():
        value = given.get(knob.name, knob.default)
        if (value is None or isinstance(value, Path)) and name not in READS_A_TEXT:
            continue
        plain = plain or built(name, given)
        changed = built(name, {**given, knob.name: other(name, knob, value, tmp_path)})
        assert differ(plain, changed), f"knob {knob.name} of {name} changes nothing"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_knobs_are_the_same_experiment(tmp_path, name):
    one, again = (built(name, tiny(name, tmp_path)) for _ in range(2))
    assert not differ(one, again)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_knobs_with_values_a_story_and_few_lines(name):
    module, lines = module_of(name), files()[name].read_text().splitlines()
    knobs = knobs_of(module.experiment)
    assert all(type(knob.default) in (int, float, bool, str, type(None)) for knob in knobs.values())
    assert set(module.SMOKE) <= set(knobs)
    assert f"python -m experiments {name}" in (module.__doc__ or "") and "two cores" in (module.__doc__ or "")
    assert 30 <= len(lines) <= 90


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nothing_held_out_is_learned_from(tmp_path, name):
    for experiment in built(name, tiny(name, tmp_path)):
        learned, *apart = (_rows(data) for data in (experiment.data, experiment.held_out, experiment.validation) if data)
        twice = 0.05 if experiment.corpus == "the Python reference" else 0.0  # some of its topics say the same sentences
        assert learned and all(rows and len(learned & rows) <= twice * len(rows) for rows in apart)


def _rows(data):
    """What goes into a model, row by row, with what is hidden in its place again."""
    return {_whole(data[row]) for row in range(min(len(data), 2000))}


def _whole(row):
    if "masked" not in row:
        return tuple(row[key].tobytes() for key in sorted(row))
    tokens, there = row["tokens"].copy(), row["weights"] > 0
    tokens[row["masked"][there]] = row["labels"][there]
    return tokens.tobytes()


def test_a_row_that_was_learned_under_other_masks_is_found_again():
    tokenizer = tokenizers.characters("abcdefgh")
    rows = examples(**enclosed(["abcdefgh" * 2, "hgfedcba" * 2], tokenizer, 20))
    learned, held_out = (_rows(masked(rows, tokenizer, 0.5).seed(seed)) for seed in (0, 1))
    assert learned == held_out and len(learned) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_trains(tmp_path, capsys, name):
    result = run(module_of(name).experiment, tiny(name, tmp_path), runs=tmp_path / "runs", smoke=True)
    assert result.folder.parent == tmp_path / "runs" / name
    stages_of = [steps_of(lines.parent) for lines in result.folder.rglob("metrics.jsonl")]
    assert stages_of and all(steps and [number for number, _ in steps] == [1, 2][:len(steps)] for steps in stages_of)
    assert all(np.isfinite(loss) for steps in stages_of for _, loss in steps)
    written = json.loads((result.folder / "result.json").read_text())
    assert written["expects"] and written["corpus"] and all(np.isfinite(one["value"]) for one in written["expects"])
    said = capsys.readouterr().out
    assert f"{name}: " in said and f"{written['expects'][0]['measure']} " in said and len(said.splitlines()) > 2
    assert list(result.folder.rglob("*.png"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["captions", "clip", "dalle", "latents", "spectrogram", "vit", "whisper"])
def test_what_reads_numbers_computes_in_the_type_of_its_weights(tmp_path, name):
    for experiment in built(name, tiny(name, tmp_path)):
        batch = {key: jnp.asarray(value) for key, value in batches(experiment.data, experiment.rows, 0)[0].items()}

        def loss(model, batch, experiment=experiment):
            return experiment.loss(cast_floats(model, jnp.bfloat16), batch, None)[0]

        program = jax.make_jaxpr(loss)(abstract(experiment.model), batch).jaxpr
        assert costs.flops(program, wide_only=True) < 0.1 * costs.flops(program), experiment.stage


@pytest.mark.parametrize("name", NAMES)
def test_a_new_experiment_begins_like_any(tmp_path, name):
    text = begun("my_idea", files()[name])
    assert len(text.splitlines()) <= 60
    space = {"__name__": "my_idea"}
    exec(compile(text, "my_idea.py", "exec"), space)
    first = next(stages(space["experiment"](**tiny(name, tmp_path))))
    same = next(stages(module_of(name).experiment(**tiny(name, tmp_path))))
    assert isinstance(first, Experiment) and not differ([first], [same])
