"""Which part of a distribution is drawn from: each takes logits [b, v] to logits, minus infinity where nothing is left.

All are processors, `(logits, text) -> logits`; `least` tokens are kept whatever happens. Their numbers are traced.
"""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.decoding.text import Text
from transformer.layers import static
from transformer.mistakes import Mistake

Array = jax.Array
Number = Any  # a Python number or a traced one


def check(name: str, value: Number, low: float, high: float = float("inf"), low_fits: bool = False) -> None:
    """A number the user gave, in its limits; a traced one was checked when it was given."""
    if isinstance(value, int | float) and not (low < value <= high or low_fits and value == low):
        raise Mistake(f"{name} is {value}; it must be {'at least' if low_fits else 'above'} {low:g}"
                      + (f" and at most {high:g}" if high < float("inf") else ""))


@struct.dataclass
class Temperature:
    """Below one sharper, above one flatter."""

    temperature: Number

    def __call__(self, logits: Array, text: Text) -> Array:
        return logits / self.temperature


@struct.dataclass
class TopK:
    """The k likeliest, and all that tie with the last of them."""

    k: Number
    least: Number = 1

    def __call__(self, logits: Array, text: Text) -> Array:
        k = jnp.clip(jnp.maximum(self.k, self.least), 1, logits.shape[-1]).astype(jnp.int32)
        return jnp.where(logits >= jnp.take(_descending(logits), k - 1, axis=-1)[:, None], logits, -jnp.inf)


@struct.dataclass
class TopP:
    """The nucleus (Holtzman et al. 2020): the fewest tokens whose chances sum to p."""

    p: Number
    least: Number = 1

    def __call__(self, logits: Array, text: Text) -> Array:
        rising = jnp.argsort(logits, axis=-1)
        below = jnp.cumsum(jax.nn.softmax(jnp.take_along_axis(logits, rising, -1)), -1)
        kept = (below > 1 - self.p) | (jnp.arange(logits.shape[-1]) >= logits.shape[-1] - self.least)[None]
        return _only(logits, rising, kept)


@struct.dataclass
class MinP:
    """All that is at least a share p as likely as the likeliest."""

    p: Number
    least: Number = 1

    def __call__(self, logits: Array, text: Text) -> Array:
        chances = jax.nn.softmax(logits)
        falling = jnp.argsort(-logits, axis=-1)
        kept = chances >= self.p * chances.max(-1, keepdims=True)
        kept = jnp.take_along_axis(kept, falling, -1) | (jnp.arange(logits.shape[-1]) < self.least)[None]
        return _only(logits, falling, kept)


@struct.dataclass
class Typical:
    """Tokens about as surprising as the distribution is on average, up to a mass (Meister et al. 2023)."""

    mass: Number
    least: Number = 1

    def __call__(self, logits: Array, text: Text) -> Array:
        surprise = -jax.nn.log_softmax(logits)
        odd = jnp.abs(surprise - entropy(logits)[:, None])
        usual = jnp.argsort(odd, axis=-1)
        odd = jnp.take_along_axis(odd, usual, -1)
        mass = jnp.cumsum(jax.nn.softmax(jnp.take_along_axis(logits, usual, -1)), -1)
        last = jnp.minimum((mass < self.mass).sum(-1, keepdims=True), logits.shape[-1] - 1)
        kept = (odd <= jnp.take_along_axis(odd, last, -1)) | (jnp.arange(logits.shape[-1]) < self.least)[None]
        return _only(logits, usual, kept)


@struct.dataclass
class Epsilon:
    """All that is at least this likely (Hewitt et al. 2022)."""

    epsilon: Number

    def __call__(self, logits: Array, text: Text) -> Array:
        return _likely(logits, jnp.full(len(logits), self.epsilon))


@struct.dataclass
class Eta:
    """As epsilon, but lower where the model is unsure (Hewitt et al. 2022)."""

    epsilon: Number

    def __call__(self, logits: Array, text: Text) -> Array:
        return _likely(logits, jnp.minimum(self.epsilon, jnp.sqrt(self.epsilon) * jnp.exp(-entropy(logits))))


@struct.dataclass
class TopH:
    """The likeliest tokens, as long as their part of the entropy stays below a share h of it."""

    h: Number
    most: int = static(100)

    def __call__(self, logits: Array, text: Text) -> Array:
        top, falling = jax.lax.top_k(logits, min(self.most, logits.shape[-1]))
        chances = jax.nn.softmax(top)
        part = jnp.cumsum(-chances * jnp.log(chances), -1)
        kept = (part <= self.h * entropy(top)[:, None]) | (jnp.arange(top.shape[-1]) < 1)[None]
        return _only(logits, falling, kept)


def entropy(logits: Array) -> Array:
    """In nats [b]; what cannot happen adds nothing."""
    logs = jax.nn.log_softmax(logits)
    return -jnp.where(jnp.isfinite(logs), jnp.exp(logs) * logs, 0.0).sum(-1)


def _likely(logits: Array, least: Array) -> Array:
    kept = (jax.nn.softmax(logits) >= least[:, None]) | (logits >= logits.max(-1, keepdims=True))
    return jnp.where(kept, logits, -jnp.inf)


def _descending(logits: Array) -> Array:
    return -jnp.sort(-logits, axis=-1)


def _only(logits: Array, order: Array, kept: Array) -> Array:
    """Logits where `kept`, which is in the given order; what the order leaves out is not kept."""
    rows = jnp.arange(len(logits))[:, None]
    return jnp.where(jnp.zeros(logits.shape, bool).at[rows, order].set(kept), logits, -jnp.inf)
