"""Training is a generator of steps; looking, saving and drawing are what the caller does with one.

    for step in train(experiment):
        if step.number % 100 == 0: print(step.number, float(step.metrics["loss"]))
"""
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from transformer import costs
from transformer.data.batches import batches, held_out_batches, stream
from transformer.data.examples import Example
from transformer.losses import Batch, Loss
from transformer.mistakes import Mistake
from transformer.sharding import spec, use, ways
from transformer.stack import POLICIES
from transformer.training.experiment import Experiment
from transformer.training.step import State, born, state_shardings, step_of
from transformer.weights import cast_floats, describe, holds

PATIENCE = 3  # refused steps in a row
DTYPES = ("float32", "bfloat16", "float16")


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
    examine(experiment, mesh)
    now: State = begin(experiment, seed, mesh) if state is None else state
    with use(mesh):
        advance = jax.jit(step_of(experiment, seed), donate_argnums=0, out_shardings=(_places(experiment, mesh), None))
    start = int(now.step)
    source = batches(experiment.data, experiment.rows, seed, *share(experiment, mesh))
    flops, previous = 0, None
    for number, batch in zip(range(start + 1, experiment.steps + 1), stream(source, start), strict=False):
        placed = place(batch, mesh)
        with use(mesh):
            flops = flops or costs.flops(advance.trace(now, placed).jaxpr)
            now, metrics = advance(now, placed)
        yield Step(number, now, metrics, batch, flops)
        if previous is not None:
            _lose_patience(number - 1, previous)
        previous = metrics
    if previous is not None:
        _lose_patience(experiment.steps, previous)


def _lose_patience(number: int, metrics: Mapping[str, jax.Array]) -> None:
    if int(metrics["refused"]) >= PATIENCE:
        raise Diverged(f"{PATIENCE} steps in a row up to step {number} had a gradient that is not finite or explodes "
                       f"(loss {float(metrics['loss']):.4g}, norm {float(metrics['norm']):.4g}); lower the rate, "
                       f"clip harder, or look at the batches saved with the run")


def begin(experiment: Experiment, seed: int, mesh: Mesh | None = None) -> State:
    """The state at step zero, born where it will live."""
    with use(mesh):
        return jax.jit(partial(born, experiment, seed), out_shardings=_places(experiment, mesh))(holds(experiment.model))


def promised(experiment: Experiment, mesh: Mesh | None = None) -> State:
    """The shapes, types and places of a state: what a checkpoint is restored into."""
    shapes = jax.eval_shape(partial(born, experiment, 0))
    with use(mesh):
        places = jax.tree.broadcast(_places(experiment, mesh), shapes)
    return jax.tree.map(lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), shapes, places)


def share(experiment: Experiment, mesh: Mesh | None) -> tuple[int, int]:
    """Which part of a batch's rows this process brings, and in how many parts they come.

    Processes whose devices hold the same rows, as when `tensor` reaches across them, bring the same part.
    """
    if mesh is None:
        return 0, 1
    held: dict[int, set[int]] = {}
    for device, (rows,) in _by_rows(mesh).devices_indices_map((experiment.rows,)).items():
        held.setdefault(device.process_index, set()).add(rows.start or 0)
    parts = sorted({tuple(sorted(starts)) for starts in held.values()})
    return parts.index(tuple(sorted(held[jax.process_index()]))), len(parts)


def place(batch: Example, mesh: Mesh | None) -> dict[str, jax.Array]:
    """This process's rows onto its devices."""
    if mesh is None:
        return {name: jnp.asarray(value) for name, value in batch.items()}
    return {name: jax.make_array_from_process_local_data(_by_rows(mesh), np.asarray(value)) for name, value in batch.items()}


def evaluate(experiment: Experiment, model: Any, mesh: Mesh | None = None, most: int | None = None) -> dict[str, float]:
    """The loss and its metrics over the held-out examples, or over the first `most` batches of them."""
    with use(mesh):
        measure = _measuring(experiment.loss, experiment.dtype)
        totals: Any = None
        source = held_out_batches(experiment.held_out, experiment.rows, *share(experiment, mesh))
        for index in range(len(source) if most is None else min(most, len(source))):
            sums = measure(model, place(source[index] or {}, mesh))
            totals = sums if totals is None else jax.tree.map(jnp.add, totals, sums)
    return {name: float(total) / max(float(weight), 1e-8) for name, (total, weight) in totals.items()}


def examine(experiment: Experiment, mesh: Mesh | None = None) -> None:
    """Refuses, before anything is compiled, what cannot run."""
    for name in ("rows", "steps", "accumulate"):
        if getattr(experiment, name) < 1:
            raise Mistake(f"{name} is {getattr(experiment, name)}, but must be at least 1")
    for name, allowed in (("dtype", DTYPES), ("remat", POLICIES)):
        if getattr(experiment, name) not in allowed:
            raise Mistake(f"{name} is {getattr(experiment, name)!r}, but there are {', '.join(allowed)}")
    for name, shape, axes, _ in describe(experiment.model):
        for axis, length in zip(axes, shape, strict=True):
            if length < 1:
                raise Mistake(f"{name}: axis {axis!r} has length {length}; every axis of a weight is at least 1 long")
    if mesh is not None:
        state_shardings(experiment, mesh)
    with use(mesh):
        devices = 1 if mesh is None else ways("batch", mesh)
    if experiment.rows % (experiment.accumulate * devices):
        raise Mistake(f"{experiment.rows} rows cannot be dealt to {devices} devices "
                      f"in {experiment.accumulate} micro-batches; "
                      f"give a multiple of {experiment.accumulate * devices}")


def _places(experiment: Experiment, mesh: Mesh | None) -> Any:
    """Where the state lives: said outright for a single device too, so that a resumed run compiles nothing anew."""
    return jax.sharding.SingleDeviceSharding(jax.devices()[0]) if mesh is None else state_shardings(experiment, mesh)


def _by_rows(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, spec(("batch",), mesh))


@lru_cache
def _measuring(loss: Loss, dtype: str) -> Callable[[Any, Batch], Any]:
    def measure(model: Any, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        total, weight, metrics = loss(cast_floats(model, jnp.dtype(dtype)), batch, None)
        return {"loss": (total, weight), **metrics}

    return jax.jit(measure)
