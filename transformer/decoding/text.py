"""What stands so far, and the room for what is to come: shapes come in powers of two, so that few programs serve all prompts."""
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from transformer.layers import static
from transformer.mistakes import Mistake

Array = jax.Array


@struct.dataclass
class Text:
    """Rows of tokens [b, l], -1 where there is none: the prompt ends before `begin`, what stands so far before `end`."""

    tokens: Array
    begin: Array
    end: Array
    most: Array  # how many tokens may follow the prompt
    ends: Array  # the tokens that end a row [e]

    @classmethod
    def of(cls, prompt: Any, length: int, most: Any, ends: Any = ()) -> "Text":
        """A prompt [b, p] in front, and room behind it up to `length`."""
        prompt = jnp.asarray(prompt, jnp.int32)
        begin = jnp.asarray(prompt.shape[1], jnp.int32)
        tokens = jnp.pad(prompt, ((0, 0), (0, length - prompt.shape[1])), constant_values=-1)
        return cls(tokens, begin, begin, jnp.asarray(most, jnp.int32), jnp.asarray(ends, jnp.int32))

    @property
    def new(self) -> Array:
        """How many tokens have been written after the prompt."""
        return self.end - self.begin

    @property
    def lengths(self) -> Array:
        """How many tokens each row has [b], padding apart."""
        return (self.tokens >= 0).sum(-1)

    def last(self, count: int) -> Array:
        """The last tokens [b, count], -1 where a row has fewer."""
        at = self.end - count + jnp.arange(count)
        return jnp.where(at[None] < 0, -1, jnp.take(self.tokens, jnp.maximum(at, 0), axis=1))

    def write(self, tokens: Array) -> "Text":
        """One token more [b], or -1 in rows that have ended."""
        written = jax.lax.dynamic_update_slice_in_dim(self.tokens, tokens[:, None], self.end, 1)
        return replace(self, tokens=written, end=self.end + 1)

    def until(self, end: Array) -> "Text":
        """As it stood when it was shorter."""
        there = jnp.arange(self.tokens.shape[1])[None] < end
        return replace(self, tokens=jnp.where(there, self.tokens, -1), end=end)

    def ending(self, tokens: Array) -> Array:
        """Which of these tokens end a row."""
        return jnp.isin(tokens, self.ends)


@struct.dataclass
class Asked:
    """What is asked of a model: prompts [b, p] to go on from, and for an encoder-decoder the memory to answer."""

    prompt: Any
    most: Any
    ends: Any
    key: Array
    memory: Any = None
    seen: Array | None = None
    length: int = static(0)  # room for all of it

    def text(self, times: int = 1) -> Text:
        """What stands at first, each row this many times over."""
        return Text.of(jnp.repeat(self.prompt, times, 0), self.length, self.most, self.ends)

    def keys(self, times: int = 1) -> Array:
        """A key for each row and each time, which no neighbour changes; or what was given for each row."""
        keys = self.key if self.key.ndim else _fold(self.key, len(self.prompt))
        return keys if times == 1 else jax.vmap(lambda key: _fold(key, times))(keys).reshape(-1)


def bucket(length: int, least: int = 64) -> int:
    """The power of two that holds this many."""
    return max(least, 1 << max(0, length - 1).bit_length())


def left_padded(prompt: Any, present: Any = None) -> np.ndarray:
    """Prompts, however padded, as rows against the right edge of a bucket, with -1 in front of them."""
    rows = _rows(prompt, present)
    for number, row in enumerate(rows):
        if len(row) == 0:
            raise Mistake(f"prompt {number} is empty: give it at least one token, such as the one texts start with")
        if row.min() < 0:
            raise Mistake(f"prompt {number} has the token {row.min()}; tokens count from 0, and padding is marked by `present`")
    longest = max(len(row) for row in rows)
    padded = np.full((len(rows), 1 if longest == 1 else bucket(longest)), -1, np.int32)
    for at, row in zip(padded, rows, strict=True):
        at[-len(row):] = row
    return padded


def _fold(key: Array, count: int) -> Array:
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(jnp.arange(count))


def _rows(prompt: Any, present: Any) -> Sequence[np.ndarray]:
    if len(prompt) == 0:
        raise Mistake("there is no prompt: give at least one row of tokens")
    if present is None:
        return [np.asarray(row, np.int32).reshape(-1) for row in prompt]
    prompt, present = np.asarray(prompt), np.asarray(present, bool)
    if prompt.shape != present.shape:
        raise Mistake(f"`present` {present.shape} must mark each token of the prompt {prompt.shape}: give both one shape")
    return [row[there] for row, there in zip(prompt, present, strict=True)]
