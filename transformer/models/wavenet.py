"""WaveNet (van den Oord et al. 2016): a decoder of dilated causal convolutions, one token a sample of sound.

Each layer reads twice as far back as the one before; what its gates let through adds to the stream and to the answer.
"""
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.convolution import Causal, Recent
from transformer.layers import Embedding, Head, Linear
from transformer.sharding import shard
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 256
    layers: int = 30
    cycle: int = 10  # after dilations of 1, 2, 4, ... begin again with 1
    embed: int = 64
    gate: int = 64
    skip: int = 256
    condition: int = 0  # the width of what it is told beside the sound, if anything

    @property
    def gates(self) -> int:
        """Of both kinds."""
        return 2 * self.gate


@struct.dataclass
class Layer:
    """tanh of one convolution, let through by the sigmoid of another."""

    heard: Causal
    told: Linear | None
    out: Linear
    skip: Linear

    @classmethod
    def of(cls, size: Size, dilation: int) -> "Layer":
        return cls(Causal.of(size, "2 embed -> gates", dilation), Linear.of(size, "condition -> gates") if size.condition else None,
                   Linear.of(size, "gate -> embed", True), Linear.of(size, "gate -> skip", True))

    def __call__(self, x: Array, heard: Array, condition: Array | None) -> tuple[Array, Array]:
        """The stream after this layer and what it adds to the answer, given what its convolution heard."""
        gates = heard if condition is None or self.told is None else heard + self.told(condition.astype(x.dtype))
        new, open = jnp.split(gates, 2, -1)
        let = jnp.tanh(new) * jax.nn.sigmoid(open)
        return x + self.out(let), self.skip(let)


@struct.dataclass
class Memory:
    """What each layer still needs of the past, and what the sound is told by."""

    recents: tuple[Recent, ...]
    condition: Array | None
    taken: Array


@struct.dataclass
class WaveNet:
    tokens: Embedding
    blocks: tuple[Layer, ...]
    middle: Linear
    head: Head

    @classmethod
    def of(cls, size: Size) -> "WaveNet":
        layers = tuple(Layer.of(size, 2 ** (layer % size.cycle)) for layer in range(size.layers))
        return cls(Embedding.of(size, initialiser=normal(1.0)), layers, Linear.of(size, "skip -> skip", True),
                   Head.of(size, "skip -> vocab"))

    @property
    def vocab(self) -> int:
        return len(self.tokens.table)

    @property
    def reach(self) -> int:
        """How many samples, its own included, the last output hangs on."""
        return 1 + sum(block.heard.reach for block in self.blocks)

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, condition: Array | None = None, key: Array | None = None) -> Array:
        """The answer's stream. condition [b, t, c] is of each sample, or [b, 1, c] of all."""
        x, answer = self.tokens(tokens), 0.0
        for block in self.blocks:
            x, said = block(x, block.heard(x), condition)
            answer = answer + said
        return self._answer(answer)

    def logits(self, hidden: Array) -> Array:
        return shard(self.head(hidden), "batch", "length", "vocab")

    def start(self, source: int | Array, length: int, seen: Array | None = None) -> Memory:
        """Silence before the first sample, of so many rows or of those whose condition [b, t, c] is given."""
        condition = None if isinstance(source, int) else source
        rows = source if isinstance(source, int) else len(source)
        recents = tuple(block.heard.start(rows, self.tokens.table.dtype) for block in self.blocks)
        return Memory(recents, condition, jnp.zeros((), jnp.int32))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        """Padding before the first sample is heard as the silence that it stands for."""
        x, answer, recents = self.tokens(tokens), 0.0, []
        there = None if present is None else present[..., None]
        condition = self._at(memory, tokens.shape[1])
        for block, recent in zip(self.blocks, memory.recents, strict=True):
            heard, recent = block.heard.go_on(x if there is None else jnp.where(there, x, 0), recent)
            x, said = block(x, heard, condition)
            answer, recents = answer + said, [*recents, recent]
        return self.logits(self._answer(answer)), Memory(tuple(recents), memory.condition, memory.taken + tokens.shape[1])

    def _at(self, memory: Memory, steps: int) -> Array | None:
        """The condition of the next steps."""
        if memory.condition is None or memory.condition.shape[1] == 1:
            return memory.condition
        return jax.lax.dynamic_slice_in_dim(memory.condition, memory.taken, steps, 1)

    def _answer(self, answer: Any) -> Array:
        return jax.nn.relu(self.middle(jax.nn.relu(answer)))
