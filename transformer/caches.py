"""What a layer keeps of the tokens it has seen: their keys and values, laid out as they are read, [b, g, s, k].

A layer that sees everything keeps everything, in the order in which it came. One that sees only the last `reach` positions
keeps only these, in a ring.
"""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.core import Tracer

from transformer import masks
from transformer.mistakes import Mistake

Array = jax.Array


@struct.dataclass
class Cache:
    """The keys and values of one layer so far [b, g, s, k]: the first `filled` slots are in use."""

    keys: Array
    values: Array
    filled: Array

    @classmethod
    def empty(cls, batch: int, length: int, groups: int, head: int, dtype: Any = jnp.float32) -> "Cache":
        slots = jnp.zeros((batch, groups, length, head), dtype)
        return cls(slots, slots, jnp.zeros((), jnp.int32))

    def append(self, keys: Array, values: Array, positions: Array | None = None) -> tuple["Cache", Array, Array]:
        """With new ones [b, t, g, k], and what these see [b, s, g, k]."""
        def at_end(slots: Array, new: Array) -> Array:
            # Axes of length one are left out: around them XLA would copy all slots to write a few.
            new, axes = new.swapaxes(1, 2).astype(slots.dtype), [axis for axis in range(4) if slots.shape[axis] > 1]
            bare, more = (x.reshape([x.shape[axis] for axis in axes]) for x in (slots, new))
            begin = [self.filled if axis == 2 else 0 for axis in axes]
            return jax.lax.dynamic_update_slice(bare, more, begin).reshape(slots.shape)

        new = Cache(at_end(self.keys, keys), at_end(self.values, values), self.filled + keys.shape[1])
        return new, new.keys.swapaxes(1, 2), new.values.swapaxes(1, 2)


@struct.dataclass
class Ring:
    """The keys and values of the last `reach` positions [b, g, reach, k]: position p lies in slot p mod reach.

    Each row turns by itself, so that padding takes no slot from what a row still sees.
    """

    keys: Array
    values: Array

    @classmethod
    def empty(cls, batch: int, reach: int, groups: int, head: int, dtype: Any = jnp.float32) -> "Ring":
        slots = jnp.zeros((batch, groups, reach, head), dtype)
        return cls(slots, slots)

    @property
    def reach(self) -> int:
        return self.keys.shape[-2]

    def append(self, keys: Array, values: Array, positions: Array | None = None) -> tuple["Ring", Array, Array]:
        """With new ones [b, t, g, k] at positions [b, t], and what these see: the ring itself, or, where many come at once
        and the last push out what the first still see, the ring as it was and then the new ones."""
        if positions is None:
            raise ValueError("a ring must be told the positions of what is appended to it")
        stay = (positions >= 0) & (positions > positions.max(-1, keepdims=True) - self.reach)
        at, rows = jnp.where(stay, positions % self.reach, self.reach), jnp.arange(len(keys))[:, None]

        def put(slots: Array, new: Array) -> Array:
            return slots.at[rows, :, at].set(new.astype(slots.dtype), mode="drop")

        def both(slots: Array, new: Array) -> Array:
            return jnp.concatenate([slots.swapaxes(1, 2), new.astype(slots.dtype)], 1)

        new = Ring(put(self.keys, keys), put(self.values, values))
        if keys.shape[1] == 1:
            return new, new.keys.swapaxes(1, 2), new.values.swapaxes(1, 2)
        return new, both(self.keys, keys), both(self.values, values)

    def restored(self, before: Any, stale: Array) -> "Ring":
        """Where a slot is stale [b, reach], as it was before."""
        def old_or_new(old: Array, new: Array) -> Array:
            return jnp.where(jnp.broadcast_to(stale[:, None, :, None], new.shape), old, new)

        return jax.tree.map(old_or_new, before, self)


@struct.dataclass
class Slots:
    """Which position each cache slot holds [b, s]: -1 where a row holds padding or nothing yet.

    All rows fill the same slots, so a batch of ragged prompts needs no scatter: padding, left or right, stays a hole.
    """

    positions: Array
    filled: Array

    @classmethod
    def empty(cls, batch: int, length: int) -> "Slots":
        return cls(jnp.full((batch, length), -1, jnp.int32), jnp.zeros((), jnp.int32))

    @property
    def last(self) -> Array:
        """The last position of each row [b, 1], -1 before the first."""
        return self.positions.max(-1, keepdims=True)

    def take(self, tokens: Array, present: Array | None = None) -> tuple[Array, "Slots"]:
        """The positions of new tokens [b, t], each row counting on from its last, and the slots with them."""
        self._fit(tokens.shape[1])
        present = jnp.ones(tokens.shape, bool) if present is None else present
        following = self.last + jnp.cumsum(present, -1, dtype=jnp.int32)
        new = jnp.where(present, following, -1)
        slots = jax.lax.dynamic_update_slice_in_dim(self.positions, new, self.filled, 1)
        return new, Slots(slots, self.filled + tokens.shape[1])

    def forget(self, count: Array) -> "Slots":
        """As if the last `count` tokens had never been taken."""
        filled = self.filled - count
        return Slots(jnp.where(jnp.arange(self.positions.shape[1])[None] < filled, self.positions, -1), filled)

    def turned(self, reach: int) -> Array:
        """The position in each slot of a ring [b, reach], below zero where there is none yet."""
        return self.last - (self.last - jnp.arange(reach)[None]) % reach

    def _fit(self, new: int) -> None:
        """Inside a compiled program nobody can tell how many slots are in use, only that there never were so many."""
        length, used = self.positions.shape[1], 0 if isinstance(self.filled, Tracer) else int(self.filled)
        if used + new > length:
            raise Mistake(f"the cache has {length} slots, of which {used} are in use, and {new} tokens do not fit: "
                          "start it with a greater length")


def turns(length: int, reach: int | None) -> bool:
    """Whether a layer that sees so far back needs no more than a ring."""
    return reach is not None and reach < length


def visible(positions: Array, before: Slots, after: Slots, reach: int | None = None) -> Array:
    """Which of the keys that a layer's `append` hands on the new tokens at these positions see [b, t, s]."""
    if reach is None or not turns(after.positions.shape[1], reach):
        return masks.before(positions, after.positions)
    alone = positions.shape[1] == 1
    there = after.turned(reach) if alone else jnp.concatenate([before.turned(reach), positions], 1)
    return masks.before(positions, there) & masks.window(positions, there, reach)
