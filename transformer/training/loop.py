"""Training is a generator of steps; looking, saving and drawing are what the caller does with one.

    for step in train(experiment):
        if step.number % 100 == 0: print(step.number, float(step.metrics["loss"]))
"""
import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from transformer import costs
from transformer.data.batches import batches, held_out_batches, stream
from transformer.data.examples import Example
from transformer.mistakes import Mistake
from transformer.sharding import spec, use, ways
from transformer.training.experiment import Experiment
from transformer.training.step import State, born, state_shardings, step_of
from transformer.weights import cast_floats

PATIENCE = 3  # refused steps in a row


class Diverged(RuntimeError):
    """The run cannot go on by itself."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One step that is under way: its arrays may still be computed while the caller looks at the one before."""

    number: int  # counted from 1: so many updates went into `state`
    state: State
    metrics: dict[str, jax.Array]
    batch: Example
    flops: int


def train(experiment: Experiment, *, seed: int = 0, mesh: Mesh | None = None, state: State | None = None) -> Iterator[Step]:
    """Steps from the given state, or from birth, to the last. The state is donated from step to step: keep no old one."""
    check(experiment, mesh)
    layout = None if mesh is None else state_shardings(experiment, mesh)
    with use(mesh):
        state = begin(experiment, seed, mesh) if state is None else state
        advance = jax.jit(step_of(experiment, seed), donate_argnums=0, out_shardings=(layout, None))
    start = int(state.step)
    source = batches(experiment.data, experiment.rows, seed, jax.process_index(), jax.process_count())
    flops, previous = 0, None
    for number, batch in zip(range(start + 1, experiment.steps + 1), stream(source, start), strict=False):
        placed = place(batch, mesh)
        with use(mesh):
            flops = flops or costs.flops(advance.trace(state, placed).jaxpr)
            state, metrics = advance(state, placed)
        yield Step(number, state, metrics, batch, flops)
        if previous is not None and int(previous["refused"]) >= PATIENCE:
            raise Diverged(f"{PATIENCE} steps in a row up to step {number - 1} had a gradient that is not finite or explodes "
                           f"(loss {float(previous['loss']):.4g}, norm {float(previous['norm']):.4g}); lower the rate, "
                           f"clip harder, or look at the batches saved with the run")
        previous = metrics


def begin(experiment: Experiment, seed: int, mesh: Mesh | None = None) -> State:
    """The state at step zero, born where it will live."""
    with use(mesh):
        layout = None if mesh is None else state_shardings(experiment, mesh)
        return jax.jit(partial(born, experiment, seed), out_shardings=layout)()


def promised(experiment: Experiment, mesh: Mesh | None = None) -> State:
    """The shapes, types and places of a state: what a checkpoint is restored into."""
    shapes = jax.eval_shape(partial(born, experiment, 0))
    with use(mesh):
        here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        layout = jax.tree.map(lambda _: here, shapes) if mesh is None else state_shardings(experiment, mesh)
    return jax.tree.map(lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), shapes, layout)


def place(batch: Example, mesh: Mesh | None) -> dict[str, jax.Array]:
    """This process's rows onto its devices."""
    if mesh is None:
        return {name: jnp.asarray(value) for name, value in batch.items()}
    sharding = NamedSharding(mesh, spec(("batch",), mesh))
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(value)) for name, value in batch.items()}


def evaluate(experiment: Experiment, model: Any, mesh: Mesh | None = None, most: int | None = None) -> dict[str, float]:
    """The loss and its metrics over the held-out examples, or over the first `most` batches of them."""
    with use(mesh):
        measure = jax.jit(partial(_measure, experiment))
        totals: Any = None
        source = held_out_batches(experiment.held_out, experiment.rows, jax.process_index(), jax.process_count())
        for index in range(len(source) if most is None else min(most, len(source))):
            sums = measure(model, place(source[index], mesh))
            totals = sums if totals is None else jax.tree.map(jnp.add, totals, sums)
    return {name: float(total) / max(float(weight), 1e-8) for name, (total, weight) in totals.items()}


def check(experiment: Experiment, mesh: Mesh | None) -> None:
    """Refuses, before anything is compiled, what cannot be laid out."""
    with use(mesh):
        devices = 1 if mesh is None else ways("batch", mesh)
        if mesh is not None:
            state_shardings(experiment, mesh)
    if experiment.rows % (experiment.accumulate * devices):
        raise Mistake(f"{experiment.rows} rows cannot be dealt to {devices} devices in {experiment.accumulate} micro-batches; "
                      f"give a multiple of {experiment.accumulate * devices}")


def _measure(experiment: Experiment, model: Any, batch: Example) -> dict[str, tuple[jax.Array, jax.Array]]:
    total, weight, metrics = experiment.loss(cast_floats(model, jnp.dtype(experiment.dtype)), batch, None)
    return {"loss": (total, weight), **metrics}
