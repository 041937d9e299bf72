"""What a text may say next: functions `(logits [b, v], text) -> logits`, applied in the order they are given.

Tokens that must not come get minus infinity. Numbers are traced, and a row counts its own tokens, never its padding.
"""
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from transformer.decoding.text import Text
from transformer.decoding.warpers import Number, check
from transformer.layers import static

Array = jax.Array


def processed(processors: Iterable[Any], logits: Array, text: Text) -> Array:
    for process in processors:
        logits = process(logits, text)
    return logits


@struct.dataclass
class RepetitionPenalty:
    """Above one, what stands in the text becomes less likely (Keskar et al. 2019); the first `skip` tokens do not count."""

    penalty: Number
    skip: Number = 0

    def __post_init__(self) -> None:
        check("the repetition penalty", self.penalty, 0)

    def __call__(self, logits: Array, text: Text) -> Array:
        counted = jnp.cumsum(text.tokens >= 0, -1) > self.skip
        return _scaled(logits, _members(jnp.where(counted, text.tokens, -1), logits), self.penalty)


@struct.dataclass
class SourcePenalty:
    """Above one, what stands in the source [rows, s] becomes more likely."""

    penalty: Number
    source: Any

    def __post_init__(self) -> None:
        check("the source penalty", self.penalty, 0)

    def __call__(self, logits: Array, text: Text) -> Array:
        return _scaled(logits, _members(_each_beam(self.source, logits), logits), 1 / jnp.asarray(self.penalty, jnp.float32))


@struct.dataclass
class NoRepeat:
    """No n-gram twice; with a source [rows, s], none of the source's either way it came."""

    size: int = static(3)
    source: Any = None

    def __post_init__(self) -> None:
        check("the n-gram size", self.size, 1, low_fits=True)

    def __call__(self, logits: Array, text: Text) -> Array:
        where = text.tokens if self.source is None else _each_beam(self.source, logits)
        begins = where.shape[1] - self.size + 1
        if begins < 1:
            return logits
        windows = jnp.stack([where[:, at:at + begins] for at in range(self.size)], -1)
        said = (windows >= 0).all(-1) & (windows[..., :-1] == text.last(self.size - 1)[:, None]).all(-1)
        return _without(logits, _members(jnp.where(said, windows[..., -1], -1), logits))


@struct.dataclass
class MinLength:
    """No end before a row has this many tokens, prompt included."""

    length: Number

    def __call__(self, logits: Array, text: Text) -> Array:
        return _without(logits, (text.lengths < self.length)[:, None] & _listed(text.ends, logits))


@struct.dataclass
class MinNew:
    """No end before this many tokens have followed the prompt."""

    count: Number

    def __call__(self, logits: Array, text: Text) -> Array:
        return _without(logits, (text.new < self.count) & _listed(text.ends, logits))


@struct.dataclass
class Suppress:
    """These tokens never; with `at`, not as that one of the new tokens (0: not at the beginning)."""

    tokens: Any
    at: Number = None

    def __call__(self, logits: Array, text: Text) -> Array:
        now = True if self.at is None else text.new == self.at
        return _without(logits, now & _listed(self.tokens, logits))


@struct.dataclass
class Force:
    """These tokens and no others as the new token number `at`: 0 is the first, -1 the last there is room for."""

    tokens: Any
    at: Number = 0

    def __call__(self, logits: Array, text: Text) -> Array:
        now = text.new == jnp.where(self.at < 0, text.most + self.at, self.at)
        return jnp.where(now, jnp.where(_listed(self.tokens, logits), 0.0, -jnp.inf), logits)


@struct.dataclass
class SequenceBias:
    """Adds to the last token of a sequence where the rest of it has just been said: sequences [n, m] end at the right, -1 before."""

    sequences: Any
    biases: Any

    @classmethod
    def of(cls, biases: Iterable[tuple[Sequence[int], float]]) -> "SequenceBias":
        biases = list(biases)
        longest = max((len(sequence) for sequence, _ in biases), default=1)
        padded = [[-1] * (longest - len(sequence)) + list(sequence) for sequence, _ in biases]
        return cls(np.asarray(padded, np.int32).reshape(-1, longest), np.asarray([bias for _, bias in biases], np.float32))

    def __call__(self, logits: Array, text: Text) -> Array:
        sequences = jnp.asarray(self.sequences)
        before, last = sequences[None, :, :-1], sequences[:, -1]
        matches = ((before < 0) | (before == text.last(sequences.shape[1] - 1)[:, None])).all(-1)
        added = jnp.where(matches, jnp.asarray(self.biases)[None], 0.0)
        return logits + jnp.zeros_like(logits).at[:, last].add(added)


def bad_words(words: Iterable[Sequence[int]], ends: Sequence[int] = ()) -> SequenceBias:
    """These sequences of tokens never come about, except that a text may always end."""
    return SequenceBias.of((word, -float("inf")) for word in words if list(word) not in [[end] for end in ends])


@struct.dataclass
class DecayLength:
    """After `start` new tokens the end becomes likelier, faster and faster."""

    start: Number
    factor: Number

    def __call__(self, logits: Array, text: Text) -> Array:
        beyond = jnp.maximum(text.new - self.start, 0)
        grown = jnp.abs(logits) * (jnp.power(jnp.asarray(self.factor, jnp.float32), beyond) - 1)
        return jnp.where(_listed(text.ends, logits) & jnp.isfinite(logits), logits + grown, logits)


@struct.dataclass
class Among:
    """Constrained choice: what is `allowed` [b, v] and nothing else; where nothing possible is left of it, any of it may come."""

    allowed: Any

    def __call__(self, logits: Array, text: Text) -> Array:
        left = _without(logits, ~self.allowed)
        stuck = jnp.isneginf(left.max(-1, keepdims=True))
        return jnp.where(stuck, jnp.where(self.allowed, 0.0, -jnp.inf), left)


@struct.dataclass
class Finite:
    """Nothing infinite, and no NaN."""

    def __call__(self, logits: Array, text: Text) -> Array:
        return jnp.nan_to_num(logits, nan=0.0)


@struct.dataclass
class Normalise:
    """Log-probabilities."""

    def __call__(self, logits: Array, text: Text) -> Array:
        return jax.nn.log_softmax(logits)


def _scaled(logits: Array, where: Array, penalty: Any) -> Array:
    return jnp.where(where, jnp.where(logits < 0, logits * penalty, logits / penalty), logits)


def _without(logits: Array, banned: Array) -> Array:
    return jnp.where(banned, -jnp.inf, logits)


def _listed(tokens: Any, logits: Array) -> Array:
    """Which of the vocabulary are these tokens [1, v]."""
    return jnp.isin(jnp.arange(logits.shape[-1]), jnp.asarray(tokens, jnp.int32).reshape(-1))[None]


def _members(tokens: Array, logits: Array) -> Array:
    """Which of the vocabulary are in each row [b, v]; -1 is nothing."""
    rows = jnp.arange(len(tokens))[:, None]
    vocab = logits.shape[-1]
    return jnp.zeros((len(tokens), vocab), bool).at[rows, jnp.where(tokens < 0, vocab, tokens)].set(True, mode="drop")


def _each_beam(source: Any, logits: Array) -> Array:
    source = jnp.asarray(source, jnp.int32)
    return jnp.repeat(source, len(logits) // len(source), axis=0)
