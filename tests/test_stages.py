"""Experiments of several stages: each gets what the one before became, and a run goes on in the stage where it stopped."""
import dataclasses
import json

import jax
import numpy as np
import optax
import pytest
from little import experiment as little

from transformer.training.experiment import Expectation, stages
from transformer.training.loop import evaluate
from transformer.training.run import run
from transformer.training.stage import Judged, Setting, followed
from transformer.training.step import born
from transformer.training.trained import trained
from transformer.weights import count, holding, holds, initialise, named


def two_stages(steps: int = 4):
    """Learns, then goes on from what was learned."""
    plain = dataclasses.replace(little(), steps=steps)
    first = yield dataclasses.replace(plain, stage="first")
    again = dataclasses.replace(plain, stage="second", model=first.kept, steps=2, expects=[
        Expectation("loss", first.values["loss"], baseline=first.values["loss"])])
    yield again


def arrays(folder, experiment):
    setting = Setting("seen", folder, 0, None)
    outcome = followed(experiment, setting, lambda: None)
    return {name: np.asarray(x) for name, x in named(outcome.trained.model).items()}


@pytest.mark.slow
def test_a_spec_may_hold_weights():
    spec = little().model
    model = initialise(spec, jax.random.key(3))
    held = holding(spec, model)
    assert not holds(spec) and holds(held).keys() == named(model).keys() and count(held) == count(spec)
    state = born(dataclasses.replace(little(), model=held), seed=0)
    assert all((named(state.model)[name] == x).all() for name, x in named(model).items())
    tables = held.replace(blocks=spec.blocks)  # some held, some born
    mixed, fresh = initialise(tables, jax.random.key(0)), initialise(spec, jax.random.key(0))
    assert (mixed.tokens.table == model.tokens.table).all()
    assert (mixed.blocks.blocks.mlp.up.kernel == fresh.blocks.blocks.mlp.up.kernel).all()


@pytest.mark.slow
def test_a_stage_goes_on_from_the_one_before(tmp_path):
    result = run(two_stages, {}, runs=tmp_path)
    written = json.loads((result.folder / "result.json").read_text())
    assert written["stages"].keys() == {"first", "second"} and written["values"] == written["stages"]["second"]
    assert [one["stage"] for one in written["expects"]] == ["first", "second"] and written["met"] is result.met
    assert written["stages"]["second"]["loss"] != written["stages"]["first"]["loss"]
    assert (result.folder / "first" / "curve.png").exists() and (result.folder / "second" / "metrics.jsonl").exists()


@pytest.mark.slow
def test_a_run_goes_on_in_the_stage_where_it_stopped(tmp_path):
    whole = run(two_stages, {}, runs=tmp_path / "whole")
    broken = run(two_stages, {}, runs=tmp_path / "broken")
    for left in broken.folder.glob("second"):
        left.rename(tmp_path / "lost")
    first = (broken.folder / "first" / "metrics.jsonl").read_text()
    again = run(two_stages, {}, runs=tmp_path / "broken", resume=True)
    assert again.folder == broken.folder and again.values == whole.values
    assert (broken.folder / "first" / "metrics.jsonl").read_text() == first


@pytest.mark.slow
def test_a_smoke_run_takes_two_steps_and_judges_nothing(tmp_path):
    def hopeless():
        yield dataclasses.replace(little(), expects=[Expectation("loss", -1.0, 0.0)])

    result = run(hopeless, {}, runs=tmp_path, smoke=True)
    written = json.loads((result.folder / "result.json").read_text())
    assert result.met and written["smoke"] and written["step"] == 2 and written["expects"][0]["met"] is False


def ruined(validated: bool = False):
    """By a rate that grows after the model's best moment."""
    plain = little()
    rates = optax.piecewise_constant_schedule(1e-2, {10: 300.0})
    return dataclasses.replace(plain, optimizer=optax.sgd(rates), explosion=1e9, validation=plain.held_out if validated else None)


@pytest.mark.slow
def test_the_weights_kept_are_those_best_on_validation_data_and_later_spoken_with(tmp_path):
    last, best = (run(ruined, {"validated": validated}, runs=tmp_path / str(validated)) for validated in (False, True))
    losses = [json.loads(line).get("held_out") for line in (best.folder / "metrics.jsonl").read_text().splitlines()]
    assert best.values["loss"] == pytest.approx(min(x for x in losses if x is not None)) and best.values["loss"] < last.values["loss"]
    for one in (last, best):
        assert evaluate(*trained(one.folder))["loss"] == pytest.approx(one.values["loss"])


def test_one_experiment_is_one_stage():
    plain = little()
    assert list(stages(plain)) == [plain]


@pytest.mark.parametrize("value, above, met", [(0.5, True, True), (0.4, True, False), (0.5, False, True), (0.6, False, False)])
def test_without_a_threshold_the_baseline_is_what_to_reach(value, above, met):
    judged = Judged.of("", Expectation("right", None, lambda: 0.5, above), value)
    assert (judged.threshold, judged.baseline, judged.met) == (0.5, 0.5, met)
