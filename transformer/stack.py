"""Blocks, and stacks of them: one after the other by `lax.scan`, or unrolled; rematerialised as told."""
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.attention import Attention, Part
from transformer.caches import Cache, Ring, Slots, turns
from transformer.layers import dropout, static
from transformer.mistakes import Mistake
from transformer.sharding import shard
from transformer.weights import stacked

Array = jax.Array

# What the backward pass may keep instead of computing again, by name.
POLICIES: dict[str, Any] = {
    "none": None,
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "offload": jax.checkpoint_policies.offload_dot_with_no_batch_dims("device", "pinned_host"),
}


@struct.dataclass
class BlockCache:
    """What a block carries from one token to the next: its own keys and values, and those of the source."""

    own: Cache | Ring
    source: tuple[Array, Array] | None = None


@struct.dataclass
class PreNorm:
    """Each part reads the normalised stream and adds to it: GPT-2, T5, LLaMA, ViT, Whisper.

    What a part adds can be normalised once more before it is added, as Gemma 2 does.
    """

    attention_norm: Part
    attention: Attention
    mlp_norm: Part
    mlp: Part
    cross_norm: Part | None = None
    cross: Attention | None = None
    attention_after: Part | None = None
    mlp_after: Part | None = None
    dropout: float = static(0.0)

    def __call__(self, x: Array, *, mask: Array | None = None, bias: Array | None = None,
                 rotate: Callable[[Array], Array] | None = None, memory: Array | None = None, seen: Array | None = None,
                 cache: BlockCache | None = None, positions: Array | None = None,
                 key: Array | None = None) -> tuple[Array, BlockCache | None]:
        keys = _keys(key)
        attended, own = self.attention(self.attention_norm(x), mask=mask, bias=bias, rotate=rotate,
                                       cache=cache and cache.own, positions=positions, key=keys[0])
        attended = attended if self.attention_after is None else self.attention_after(attended)
        x = settled(x + dropout(attended, self.dropout, keys[1]))
        if self.cross is not None and self.cross_norm is not None:
            asked = self.cross.across(self.cross_norm(x), _source(self.cross, memory, cache), mask=seen, key=keys[2])
            x = settled(x + dropout(asked, self.dropout, keys[3]))
        fed = self.mlp(self.mlp_norm(x))
        fed = fed if self.mlp_after is None else self.mlp_after(fed)
        x = settled(x + dropout(fed, self.dropout, keys[4]))
        return shard(x, "batch", "length", "embed"), _renewed(cache, own)


@struct.dataclass
class PostNorm:
    """Each part adds to the stream, and the sum is normalised: the 2017 transformer, GPT, BERT, BART."""

    attention: Attention
    attention_norm: Part
    mlp: Part
    mlp_norm: Part
    cross: Attention | None = None
    cross_norm: Part | None = None
    dropout: float = static(0.0)

    def __call__(self, x: Array, *, mask: Array | None = None, bias: Array | None = None,
                 rotate: Callable[[Array], Array] | None = None, memory: Array | None = None, seen: Array | None = None,
                 cache: BlockCache | None = None, positions: Array | None = None,
                 key: Array | None = None) -> tuple[Array, BlockCache | None]:
        keys = _keys(key)
        attended, own = self.attention(x, mask=mask, bias=bias, rotate=rotate, cache=cache and cache.own,
                                       positions=positions, key=keys[0])
        x = self.attention_norm(settled(x + dropout(attended, self.dropout, keys[1])))
        if self.cross is not None and self.cross_norm is not None:
            asked = self.cross.across(x, _source(self.cross, memory, cache), mask=seen, key=keys[2])
            x = self.cross_norm(settled(x + dropout(asked, self.dropout, keys[3])))
        x = self.mlp_norm(settled(x + dropout(self.mlp(x), self.dropout, keys[4])))
        return shard(x, "batch", "length", "embed"), _renewed(cache, own)


@struct.dataclass
class Stack:
    """Blocks one after the other: born stacked along a first axis `layers` and scanned, or a tuple, unrolled."""

    blocks: Any
    kinds: tuple[int, ...] = static(())  # of each layer, where they alternate: sees far or near, say
    remat: str = static("none")
    unroll: bool = static(False)  # run stacked blocks one by one: faster on a CPU, slower to compile

    @classmethod
    def of(cls, block: Any, layers: int, kinds: tuple[int, ...] = ()) -> "Stack":
        return cls(stacked(block, layers), kinds)

    def __len__(self) -> int:
        return len(self.blocks) if isinstance(self.blocks, tuple) else jax.tree.leaves(self.blocks)[0].shape[0]

    def unrolled(self) -> "Stack":
        """The same blocks as a tuple: more to compile, but every block can be looked at and changed by itself."""
        if isinstance(self.blocks, tuple):
            return self
        layers = tuple(jax.tree.map(lambda w: w[layer], self.blocks) for layer in range(len(self)))
        return dataclasses.replace(self, blocks=layers)

    def __call__(self, x: Array, *, cache: Any = None, key: Array | None = None, **context: Any) -> tuple[Array, Any]:
        """Through all blocks. Cache and key are each block's own; `context` (masks, biases, memory) is the same for all,
        but where it is a tuple, it has one value for each kind of layer."""
        alone = isinstance(cache, tuple) or (self.unroll and cache is None)
        if alone and not isinstance(self.blocks, tuple):
            return self.unrolled()(x, cache=cache, key=key, **context)
        scanned = not isinstance(self.blocks, tuple)

        def of_kind(kind: int) -> Any:
            own = _of_kind(context, kind)

            def through(x: Array, block: Any, cache: Any, key: Array | None) -> tuple[Array, Any]:
                return block(x, cache=cache, key=key, **own)

            if self.remat == "none":
                return through
            return jax.checkpoint(through, policy=POLICIES[self.remat], prevent_cse=not scanned)

        keys = None if key is None else jax.random.split(key, len(self))
        kinds = self.kinds or (0,) * len(self)
        through = [of_kind(kind) for kind in range(max(kinds) + 1)]
        if scanned:

            def step(x: Array, own: Any) -> tuple[Array, Any]:
                kind, *rest = own
                return jax.lax.switch(kind, through, x, *rest) if len(through) > 1 else through[0](x, *rest)

            return jax.lax.scan(step, x, (jnp.asarray(kinds), self.blocks, cache, keys))
        caches = []
        for layer, (block, kind) in enumerate(zip(self.blocks, kinds, strict=True)):
            x, new = through[kind](x, block, cache and cache[layer], None if keys is None else keys[layer])
            caches.append(new)
        return x, None if cache is None else tuple(caches)

    def hidden(self, x: Array, **context: Any) -> Array:
        """What enters the first block and what leaves each one [layers + 1, b, t, d]."""

        def through(x: Array, block: Any) -> tuple[Array, Array]:
            y, _ = block(x, **context)
            return y, y

        if isinstance(self.blocks, tuple) or self.kinds:
            states = [x]
            for block, kind in zip(self.unrolled().blocks, self.kinds or (0,) * len(self), strict=True):
                states.append(block(states[-1], **_of_kind(context, kind))[0])
            return jnp.stack(states)
        return jnp.concatenate([x[None], jax.lax.scan(through, x, self.blocks)[1]])

    def caches(self, batch: int, length: int, memory: Array | None = None, dtype: Any = jnp.float32,
               windows: tuple[int | None, ...] = (None,)) -> Any:
        """Empty caches for every block; from a memory, also its keys and values, computed here and never again.

        A block of a kind with a window keeps no more than that. Where blocks keep different amounts, caches are a tuple.
        """
        def one(block: Any, reach: int | None) -> BlockCache:
            groups, head = block.attention.key.kernel.shape[-2:]
            source = None if memory is None else block.cross.remember(memory)
            kind, slots = (Cache, length) if reach is None else (Ring, reach)
            return BlockCache(kind.empty(batch, slots, groups, head, dtype), source)

        reaches = [windows[kind] if turns(length, windows[kind]) else None for kind in self.kinds or (0,) * len(self)]
        if isinstance(self.blocks, tuple) or len(set(reaches)) > 1:
            return tuple(one(block, reach) for block, reach in zip(self.unrolled().blocks, reaches, strict=True))
        return jax.vmap(lambda block: one(block, reaches[0]))(self.blocks)


@struct.dataclass
class Memory:
    """What a transformer's decoder carries from one call to the next, and where in it each position lies."""

    blocks: Any
    slots: Slots
    seen: Array | None = None  # which source positions are there, in an encoder-decoder

    def forget(self, count: Array, read: int, before: "Memory") -> "Memory":
        """As if the last `count` of the `read` tokens that were decoded since `before` had never been: their slots are free
        again, and a ring holds again what they had pushed out."""
        slots = self.slots.forget(count)

        def one(cache: BlockCache, old: BlockCache) -> BlockCache:
            if isinstance(cache.own, Cache):
                return dataclasses.replace(cache, own=dataclasses.replace(cache.own, filled=cache.own.filled - count))
            if read > cache.own.reach:
                raise Mistake(f"a layer that sees only {cache.own.reach} tokens cannot take back {read} read at once: guess fewer")
            stale = self.slots.turned(cache.own.reach) > slots.last
            return dataclasses.replace(cache, own=cache.own.restored(old.own, stale))

        blocks = jax.tree.map(one, self.blocks, before.blocks, is_leaf=lambda part: isinstance(part, BlockCache))
        return dataclasses.replace(self, blocks=blocks, slots=slots)


def each_kind(seen: Iterable[Array]) -> Array | tuple[Array, ...]:
    """One for each kind of layer, or the only one."""
    first, *others = seen
    return (first, *others) if others else first


def _of_kind(context: dict[str, Any], kind: int) -> dict[str, Any]:
    return {name: value[kind] if isinstance(value, tuple) else value for name, value in context.items()}


def settled(x: Array) -> Array:
    """The stream, computed here and not again: XLA would fuse the whole chain of sums behind it into every gradient."""
    return jax.lax.optimization_barrier(x)


def _source(cross: Attention, memory: Array | None, cache: BlockCache | None) -> tuple[Array, Array]:
    """The keys and values of the source: remembered, or made now."""
    if cache is not None and cache.source is not None:
        return cache.source
    if memory is None:
        raise ValueError("a block with cross-attention needs the memory to attend to, or a cache that was started from one")
    return cross.remember(memory)


def _renewed(cache: BlockCache | None, own: Cache | Ring | None) -> BlockCache | None:
    return None if cache is None or own is None else BlockCache(own, cache.source)


def _keys(key: Array | None) -> Any:
    return [None] * 5 if key is None else jax.random.split(key, 5)
