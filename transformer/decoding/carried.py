"""What a model carries from one token to the next, as rows that can be repeated and reordered, whatever the model is."""
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.decoding.text import Asked
from transformer.layers import static
from transformer.stack import Stack
from transformer.weights import edit

Array = jax.Array


@struct.dataclass
class Carried:
    """A cache that knows along which axis each of its leaves counts rows.

    None stands for what all rows share, and for what belongs to the source: it is the same for all beams of a row, so it
    stays as it is, neither repeated nor gathered, and the model's cross-attention lets the beams of a row share it.
    """

    cache: Any
    axes: tuple[int | None, ...] = static(())

    @classmethod
    def started(cls, model: Any, asked: Asked) -> "Carried":
        cache = _start(model, len(asked.prompt), asked.length, asked.memory, asked.seen)
        return cls(cache, row_axes(model, asked.length, asked.memory, asked.seen))

    @classmethod
    def prefilled(cls, model: Any, asked: Asked) -> "Carried":
        """All of the prompt but its last token, which the first step feeds: many tokens at once, and no logits."""
        carried, before = cls.started(model, asked), asked.prompt[:, :-1]
        if before.shape[1] == 0:
            return carried
        return carried.decode(model, jnp.maximum(before, 0), before >= 0)[1]

    def decode(self, model: Any, tokens: Array, present: Array | None = None) -> tuple[Array, "Carried"]:
        logits, cache = model.decode(tokens, self.cache, present)
        return logits, replace(self, cache=cache)

    def repeat(self, times: int) -> "Carried":
        """Every row this many times over."""
        return self._each(lambda leaf, axis: jnp.repeat(leaf, times, axis))

    def take(self, rows: Array) -> "Carried":
        """These rows, in this order."""
        return self._each(lambda leaf, axis: jnp.take(leaf, rows, axis))

    def _each(self, change: Any) -> "Carried":
        leaves, tree = jax.tree.flatten(self.cache)
        leaves = [leaf if axis is None else change(leaf, axis) for leaf, axis in zip(leaves, self.axes, strict=True)]
        return replace(self, cache=tree.unflatten(leaves))


def row_axes(model: Any, length: int, memory: Any = None, seen: Array | None = None) -> tuple[int | None, ...]:
    """Found by asking for two rows and for three; what `decode` hands back untouched is lent if the model can share it."""

    def shapes(rows: int) -> list[Any]:
        resized = jax.tree.map(lambda x: jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype), (memory, seen))
        return jax.tree.leaves(jax.eval_shape(lambda given: _start(model, rows, length, *given), resized))

    tree = jax.tree.structure(jax.eval_shape(lambda given: _start(model, 1, length, *given), _first(memory, seen)))
    axes = [next((i for i, (a, b) in enumerate(zip(two.shape, three.shape, strict=True)) if a != b), None)
            for two, three in zip(shapes(2), shapes(3), strict=True)]
    lent = [axis is not None and same for axis, same in zip(axes, _untouched(model, tree, shapes(2)), strict=True)]
    if not any(lent):
        return tuple(axes)
    shared = [two if own else four for own, two, four in zip(lent, shapes(2), shapes(4), strict=True)]
    try:
        jax.eval_shape(lambda cache: model.decode(jnp.zeros((4, 1), jnp.int32), cache), tree.unflatten(shared))
    except (TypeError, ValueError):  # its shapes do not fit: this model wants every beam to have its own
        return tuple(axes)
    return tuple(None if own else axis for own, axis in zip(lent, axes, strict=True))


def ready(model: Any) -> Any:
    """The model with its layers side by side, so that no token waits for weights and caches to be cut out of a stack.

    `generate` does it each time; a model that is used often, or is large, is better made ready once.
    """
    parts = jax.tree.leaves(model, is_leaf=lambda part: isinstance(part, Stack))
    if all(isinstance(part.blocks, tuple) and part.remat == "none" for part in parts if isinstance(part, Stack)):
        return model
    return _unrolled(model)


@jax.jit
def _unrolled(model: Any) -> Any:
    return edit(model, Stack, lambda stack: replace(stack.unrolled(), remat="none"))


def _start(model: Any, rows: int, length: int, memory: Any, seen: Array | None) -> Any:
    return model.start(rows, length) if memory is None else model.start(memory, length, seen)


def _first(memory: Any, seen: Array | None) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype), (memory, seen))


def _untouched(model: Any, tree: Any, shapes: list[Any]) -> list[bool]:
    """Which leaves of a cache come back from `decode` as the very same arrays."""
    same: list[bool] = []

    def probe(cache: Any) -> Array:
        logits, after = model.decode(jnp.zeros((2, 1), jnp.int32), cache)
        same.extend(a is b for a, b in zip(jax.tree.leaves(cache), jax.tree.leaves(after), strict=True))
        return logits

    jax.eval_shape(probe, tree.unflatten(shapes))
    return same
