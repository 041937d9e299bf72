"""Sequence to sequence by recurrent cells: one reads, one writes, and between them a single state or attention.

Without attention (Sutskever et al. 2014) all that the writer knows of the source is the state it begins with. Bahdanau's
(2015) attends with its last state before it steps, Luong's (2015) steps and then attends with the new one.
"""
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Embedding, Head, Linear, dropout, static
from transformer.recurrent import GRU, LSTM, Additive, BothWays, Multiplicative, State, glance, one_by_one
from transformer.sharding import shard
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 30000
    embed: int = 620
    state: int = 1000
    align: int = 1000

    @property
    def memory(self) -> int:
        """What the reader says of a word: both directions."""
        return 2 * self.state

    @property
    def fed(self) -> int:
        """What Bahdanau's writer reads: the last word, and what it attended to."""
        return self.embed + self.memory

    @property
    def known(self) -> int:
        """What a word is chosen by: the state, and what was attended to."""
        return self.state + self.memory


@struct.dataclass
class Read:
    """What was read of the sources: the words in context [b, s, d], and the state to begin to write with."""

    words: Array
    state: State


@struct.dataclass
class Source:
    """What a writer with attention looks at."""

    words: Array
    remembered: Array
    present: Array | None


@struct.dataclass
class Writing:
    """What is carried from one token to the next, and the source, which stays."""

    state: State
    source: Source | None


Step = tuple[Array, State, Array | None]  # what is said [b, d], the new state, the weights on the source [b, s]


@struct.dataclass
class Plain:
    """A cell, and no look back."""

    cell: Any
    mix: Linear

    @classmethod
    def of(cls, size: Size, cell: type) -> "Plain":
        return cls(cell.of(size), Linear.of(size, "state -> embed", bias=True))

    def look(self, words: Array, present: Array | None) -> None:
        return None

    def step(self, x: Array, state: State, source: Source | None) -> Step:
        state = self.cell.step(self.cell.read(x), state)
        return jnp.tanh(self.mix(state[0])), state, None


@struct.dataclass
class Bahdanau:
    """Asks with the state it has, then reads the answer together with the last word."""

    cell: Any
    attention: Additive
    mix: Linear

    @classmethod
    def of(cls, size: Size, cell: type) -> "Bahdanau":
        return cls(cell.of(size, "fed"), Additive.of(size), Linear.of(size, "known -> embed", bias=True))

    def look(self, words: Array, present: Array | None) -> Source:
        return Source(words, self.attention.remember(words), present)

    def step(self, x: Array, state: State, source: Source) -> Step:
        scores = self.attention.score(state[0][:, None], source.remembered)
        told, weights = (a[:, 0] for a in glance(scores, source.words, source.present))
        state = self.cell.step(self.cell.read(jnp.concatenate([x, told], -1)), state)
        return jnp.tanh(self.mix(jnp.concatenate([state[0], told], -1))), state, weights


@struct.dataclass
class Luong:
    """Reads the last word, then asks with the new state."""

    cell: Any
    attention: Multiplicative
    mix: Linear

    @classmethod
    def of(cls, size: Size, cell: type) -> "Luong":
        return cls(cell.of(size), Multiplicative.of(size), Linear.of(size, "known -> embed", bias=True))

    def look(self, words: Array, present: Array | None) -> Source:
        return Source(words, self.attention.remember(words), present)

    def step(self, x: Array, state: State, source: Source) -> Step:
        state = self.cell.step(self.cell.read(x), state)
        scores = self.attention.score(state[0][:, None], source.remembered)
        told, weights = (a[:, 0] for a in glance(scores, source.words, source.present))
        return jnp.tanh(self.mix(jnp.concatenate([state[0], told], -1))), state, weights


@struct.dataclass
class RNN:
    tokens: Embedding
    reader: BothWays
    bridge: tuple[Linear, ...]  # from the reader's last states to each array of the writer's first
    writer: Any
    head: Head
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, writer: type = Plain, cell: type = LSTM, dropout: float = 0.0) -> "RNN":
        """`writer` is Plain, Bahdanau or Luong, `cell` an LSTM or a GRU."""
        arrays = {LSTM: 2, GRU: 1}[cell]
        return cls(Embedding.of(size, initialiser=normal(0.1)), BothWays(cell.of(size), cell.of(size)),
                   tuple(Linear.of(size, "memory -> state", bias=True) for _ in range(arrays)),
                   writer.of(size, cell), Head.of(size), dropout)

    def encode(self, source: Array, *, present: Array | None = None, key: Array | None = None) -> Read:
        words, (ahead, behind) = self.reader(dropout(self.tokens(source), self.dropout, key), present)
        both = (jnp.concatenate(pair, -1) for pair in zip(ahead, behind, strict=True))
        state = tuple(jnp.tanh(bridge(last)) for bridge, last in zip(self.bridge, both, strict=True))
        return Read(shard(words, "batch", "length", "embed"), state)

    def __call__(self, source: Array, target: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(source, target, **context))

    def hidden(self, source: Array, target: Array, *, present: Array | None = None, target_present: Array | None = None,
               key: Array | None = None) -> Array:
        """What the writer says at every place; `target` is what it is fed: the answer, shifted right."""
        keys = (None,) * 3 if key is None else jax.random.split(key, 3)
        read = self.encode(source, present=present, key=keys[0])
        x = dropout(self.tokens(target), self.dropout, keys[1])
        said, _, _ = self._write(x, self.start(read, target.shape[1], present), target_present)
        return dropout(said, self.dropout, keys[2])

    def logits(self, hidden: Array) -> Array:
        return shard(self.head(hidden), "batch", "length", "vocab")

    def attention(self, source: Array, target: Array, present: Array | None = None) -> Array | None:
        """How much each place of the target listened to each of the source [b, t, s]."""
        read = self.encode(source, present=present)
        return self._write(self.tokens(target), self.start(read, target.shape[1], present), None)[2]

    def start(self, memory: Read, length: int, present: Array | None = None) -> Writing:
        """A state takes the same room at any length; what the words are compared by is computed here, once."""
        return Writing(memory.state, self.writer.look(memory.words, present))

    def decode(self, tokens: Array, memory: Writing, present: Array | None = None) -> tuple[Array, Writing]:
        said, state, _ = self._write(self.tokens(tokens), memory, present)
        return self.logits(said), Writing(state, memory.source)

    def _write(self, x: Array, memory: Writing, present: Array | None) -> tuple[Array, State, Array | None]:
        def step(x: Array, state: State) -> tuple[tuple[Array, Array | None], State]:
            said, state, weights = self.writer.step(x, state, memory.source)
            return (said, weights), state

        (said, weights), state = one_by_one(step, x, memory.state, present)
        return said, state, weights
