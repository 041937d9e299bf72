"""One step of training, a pure function: (state, batch) -> (state, metrics)."""
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from transformer.losses import Batch, Loss
from transformer.sharding import shard, shardings
from transformer.stack import Stack
from transformer.training.experiment import Experiment
from transformer.weights import cast_floats, edit, initialise, name_of, named

Array = jax.Array

CALM = 0.1  # of a model that has learned all, gradients are as good as zero, and any other would seem to explode


@struct.dataclass
class State:
    """All that a run is, between two steps."""

    step: Array
    model: Any
    optimizer: Any
    average: Any  # of the weights over steps, or None
    pace: Array  # the usual norm of a gradient
    refused: Array  # steps in a row that were not followed

    @property
    def best(self) -> Any:
        """The weights to use: the average where there is one."""
        return self.model if self.average is None else self.average


def born(experiment: Experiment, seed: int, held: Mapping[str, Array] | None = None) -> State:
    """The state before the first step. Under `jit` with `state_shardings`, nothing ever exists unsharded.

    held: the weights to go on from, by name; under `jit`, given as arguments so that they are no constants of the program.
    """
    def arranged(stack: Stack) -> Stack:
        unroll = experiment.unroll
        if unroll is None:
            unroll = jax.default_backend() == "cpu" and len(stack) <= 12
        return dataclasses.replace(stack, remat=experiment.remat, unroll=unroll)

    model = initialise(edit(experiment.model, Stack, arranged), jax.random.key(seed), held)
    zero = jnp.zeros((), jnp.int32)
    return State(zero, model, experiment.optimizer.init(model), model if experiment.average is not None else None, jnp.zeros(()), zero)


def state_shardings(experiment: Experiment, mesh: Mesh) -> State:
    """Where every array of the state lives; what the optimizer keeps of a weight lies where the weight does."""
    layout = named(shardings(experiment.model, mesh))
    shapes = {name: w.shape for name, w in named(experiment.model).items()}
    whole = NamedSharding(mesh, PartitionSpec())

    def one(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        name = name_of(path)
        of = max((weight for weight in layout if name == weight or name.endswith("." + weight)), key=len, default=None)
        return layout[of] if of is not None and shapes[of] == leaf.shape else whole

    return jax.tree_util.tree_map_with_path(one, jax.eval_shape(lambda: born(experiment, 0)))


def step_of(experiment: Experiment, seed: int) -> Callable[[State, Batch], tuple[State, dict[str, Array]]]:
    """The step: gradients, their norm, the update; refused when the gradient is not finite or explodes."""

    def step(state: State, batch: Batch) -> tuple[State, dict[str, Array]]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        batch = {name: shard(value, "batch", *(None,) * (value.ndim - 1)) for name, value in batch.items()}
        gradients, loss, metrics = gradients_of(
            experiment.loss, state.model, batch, key, experiment.dtype, experiment.accumulate)
        norm = optax.tree.norm(gradients)
        usual = (state.pace == 0) | (norm < experiment.explosion * jnp.maximum(state.pace, CALM))
        follow = jnp.isfinite(norm) & jnp.isfinite(loss) & usual
        updates, optimizer = experiment.optimizer.update(gradients, state.optimizer, state.model)
        model = optax.apply_updates(state.model, updates)

        def unless_refused(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda new, old: jnp.where(follow, new, old), new, old)

        model = unless_refused(model, state.model)
        average = state.average
        if experiment.average is not None:
            # Young averages forget faster, so that they do not remember how the weights were born.
            kept = jnp.minimum(experiment.average, (1 + state.step) / (10 + state.step))
            average = jax.tree.map(lambda old, new: kept * old + (1 - kept) * new, average, model)
        pace = jnp.where(state.pace == 0, norm, 0.95 * state.pace + 0.05 * norm)
        new = State(state.step + 1, model, unless_refused(optimizer, state.optimizer), average,
                    jnp.where(follow, pace, state.pace), jnp.where(follow, 0, state.refused + 1))
        return new, {"loss": loss, "norm": norm, "refused": new.refused, **metrics}

    return step


def gradients_of(loss: Loss, model: Any, batch: Batch, key: Array, dtype: str = "float32",
                 accumulate: int = 1) -> tuple[Any, Array, dict[str, Array]]:
    """The gradient of the mean loss of a batch, its value and metrics.

    Micro-batches take turns and add up sums and weights, so their number changes nothing but the memory needed.
    """

    def total(model: Any, batch: Batch, key: Array) -> tuple[Array, Any]:
        value, weight, metrics = loss(cast_floats(model, jnp.dtype(dtype)), batch, key)
        return value, (weight, metrics)

    def one(batch: Batch, key: Array) -> Any:
        (value, (weight, metrics)), gradients = jax.value_and_grad(total, has_aux=True)(model, batch, key)
        return gradients, value, weight, metrics

    if accumulate == 1:
        gradients, value, weight, metrics = one(batch, key)
    else:
        # Every micro-batch takes each n-th row, so that all devices have rows in each.
        turns = jax.tree.map(lambda x: x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1), batch)
        keys = jax.random.split(key, accumulate)

        def add(sums: Any, turn: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, one(*turn)), None

        first = jax.tree.map(lambda x: x[0], (turns, keys))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(lambda: one(*first)))
        (gradients, value, weight, metrics), _ = jax.lax.scan(add, zeros, (turns, keys))
    weight = jnp.maximum(weight, 1e-8)
    means = {name: total / jnp.maximum(weight, 1e-8) for name, (total, weight) in metrics.items()}
    return jax.tree.map(lambda g: g / weight, gradients), value / weight, means
