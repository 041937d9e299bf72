"""Recurrent cells that are scanned over time, and the two attentions that first looked back at what they read.

A cell's state is a tuple whose first array is what it says. Where nothing is present the state stays as it was, so padding
on either side changes nothing. Axes as in attention.py; `state` is a cell's width, `align` that of Bahdanau's comparison.
"""
import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Linear
from transformer.weights import Initialiser, weight

Array = jax.Array
State = tuple[Array, ...]


class Cell(Protocol):
    """What goes from one moment to the next."""

    def begin(self, batch: int, dtype: Any = jnp.float32) -> State: ...

    def read(self, x: Array) -> Array: ...

    def step(self, read: Array, state: State) -> State: ...


@struct.dataclass
class LSTM:
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000, born open: gates in the order in, forget, new, out."""

    input: Linear
    inner: Linear

    @classmethod
    def of(cls, size: Any, axis: str = "embed", initialiser: Initialiser | None = None) -> "LSTM":
        read = Linear.of(size, f"{axis} -> 4 state", False, initialiser)
        read = dataclasses.replace(read, bias=weight(size, "-> 4 state", _remembering))
        return cls(read, Linear.of(size, "state -> 4 state", False, initialiser))

    def begin(self, batch: int, dtype: Any = jnp.float32) -> State:
        empty = jnp.zeros((batch, self.inner.kernel.shape[0]), dtype)
        return empty, empty

    def read(self, x: Array) -> Array:
        """What does not depend on the state, of all moments at once."""
        return self.input(x)

    def step(self, read: Array, state: State) -> State:
        said, kept = state
        gates = read + self.inner(said)
        enter, forget, new, out = (gates[..., gate, :] for gate in range(4))
        kept = jax.nn.sigmoid(forget) * kept + jax.nn.sigmoid(enter) * jnp.tanh(new)
        return jax.nn.sigmoid(out) * jnp.tanh(kept), kept


def _remembering(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
    return jnp.zeros(shape).at[1].set(1.0)


@struct.dataclass
class GRU:
    """Cho et al. 2014: gates in the order reset, update, new; the reset acts after the product, as in cuDNN."""

    input: Linear
    inner: Linear

    @classmethod
    def of(cls, size: Any, axis: str = "embed", initialiser: Initialiser | None = None) -> "GRU":
        return cls(Linear.of(size, f"{axis} -> 3 state", True, initialiser), Linear.of(size, "state -> 3 state", True, initialiser))

    def begin(self, batch: int, dtype: Any = jnp.float32) -> State:
        return (jnp.zeros((batch, self.inner.kernel.shape[0]), dtype),)

    def read(self, x: Array) -> Array:
        """What does not depend on the state, of all moments at once."""
        return self.input(x)

    def step(self, read: Array, state: State) -> State:
        (said,) = state
        inner = self.inner(said)
        reset, update = (jax.nn.sigmoid(read[..., gate, :] + inner[..., gate, :]) for gate in range(2))
        new = jnp.tanh(read[..., 2, :] + reset * inner[..., 2, :])
        return ((1 - update) * new + update * said,)


def through(cell: Cell, x: Array, state: State | None = None, present: Array | None = None,
            backwards: bool = False) -> tuple[Array, State]:
    """Everything a cell says about x [b, t, d], and its last state; backwards it reads from the end."""
    def step(read: Array, state: State) -> tuple[Array, State]:
        state = cell.step(read, state)
        return state[0], state

    return one_by_one(step, cell.read(x), cell.begin(len(x), x.dtype) if state is None else state, present, backwards)


def one_by_one(step: Callable[[Array, Any], tuple[Any, Any]], x: Array, state: Any, present: Array | None = None,
               backwards: bool = False) -> tuple[Any, Any]:
    """What a step says of each moment of x [b, t, ...] given the state before it, and the last state."""

    def onwards(state: Any, moment: tuple[Array, Array | None]) -> tuple[Any, Any]:
        now, there = moment
        said, new = step(now, state)
        return kept(new, state, there), said

    moments = jnp.moveaxis(x, 1, 0), None if present is None else present.T
    last, said = jax.lax.scan(onwards, state, moments, reverse=backwards)
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), said), last


def kept(new: Any, old: Any, there: Array | None) -> Any:
    """The new arrays in rows [b] where something was there, the old ones in the others."""
    if there is None:
        return new
    return jax.tree.map(lambda a, b: jnp.where(jnp.expand_dims(there, tuple(range(1, a.ndim))), a, b), new, old)


@struct.dataclass
class BothWays:
    """One cell reads forwards, another backwards; together they say [b, t, 2 d]."""

    forwards: Any
    backwards: Any

    def __call__(self, x: Array, present: Array | None = None) -> tuple[Array, tuple[State, State]]:
        ahead, last = through(self.forwards, x, present=present)
        behind, first = through(self.backwards, x, present=present, backwards=True)
        return jnp.concatenate([ahead, behind], -1), (last, first)


@struct.dataclass
class Additive:
    """Bahdanau et al. 2015: v·tanh(W query + U memory)."""

    query: Linear
    key: Linear
    judge: Array

    @classmethod
    def of(cls, size: Any) -> "Additive":
        return cls(Linear.of(size, "state -> align"), Linear.of(size, "memory -> align", bias=True),
                   weight(size, "align ->"))

    def remember(self, memory: Array) -> Array:
        """What every query is compared with, computed once [b, s, a]."""
        return self.key(memory)

    def score(self, query: Array, remembered: Array) -> Array:
        """Of queries [b, t, d]: [b, t, s]."""
        felt = jnp.tanh(self.query(query)[:, :, None] + remembered[:, None])
        return jnp.einsum("btsa,a->bts", felt, self.judge.astype(felt.dtype))


@struct.dataclass
class Multiplicative:
    """Luong et al. 2015: `general`, query·W memory; without W, `dot`, where both must be of one width."""

    key: Linear | None = None

    @classmethod
    def of(cls, size: Any) -> "Multiplicative":
        return cls(Linear.of(size, "memory -> state"))

    def remember(self, memory: Array) -> Array:
        """What every query is compared with, computed once [b, s, d]."""
        return memory if self.key is None else self.key(memory)

    def score(self, query: Array, remembered: Array) -> Array:
        """Of queries [b, t, d]: [b, t, s]."""
        return jnp.einsum("btd,bsd->bts", query, remembered)


def glance(scores: Array, memory: Array, present: Array | None = None) -> tuple[Array, Array]:
    """The memory summed by the softmax of the scores [b, t, d], and that softmax [b, t, s]: zero where nothing is present."""
    scores = scores.astype(jnp.float32)
    if present is None:
        weights = jax.nn.softmax(scores)
    else:
        there = present[:, None]
        weights = jnp.where(there, jax.nn.softmax(jnp.where(there, scores, jnp.finfo(jnp.float32).min)), 0.0)
    return jnp.einsum("bts,bsd->btd", weights.astype(memory.dtype), memory), weights
