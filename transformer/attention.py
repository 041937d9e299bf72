"""Attention: queries ask, keys answer, values are what is told.

One alphabet in every einsum of this codebase: b batch, t query time, s key time, d embed, h heads, g groups of heads that
share their keys and values, r heads in a group, k head size, f mlp, v vocab.
"""
import dataclasses
import math
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from transformer.caches import Cache, Ring
from transformer.layers import Linear, dropout, static
from transformer.sharding import shard
from transformer.weights import Initialiser

Array = jax.Array
Part = Callable[[Array], Array]


class Core(Protocol):
    """What computes attention itself: a value, so that a notebook or an accelerator can bring its own."""

    def __call__(self, q: Array, k: Array, v: Array, mask: Array | None, bias: Array | None, scale: float,
                 drop: Callable[[Array], Array] | None) -> Array: ...


def weigh(q: Array, k: Array, mask: Array | None = None, bias: Array | None = None, scale: float | None = None,
          cap: float | None = None) -> Array:
    """How much each query listens to each key [b, h, t, s]: rows sum to one, or to zero where everything is masked.

    q [b, t, h, k], k [b, s, g, k], mask [b, t, s] (True may look), bias [b, h, t, s] (added to the scores).
    """
    b, t, h, size = q.shape
    s, g = k.shape[1:3]
    # The heads of a group lie one after the other, as so many more queries.
    queries = q.swapaxes(1, 2).reshape(b, g, h // g * t, size)
    scores = score(queries, k.swapaxes(1, 2)).reshape(b, h, t, s)
    scores = scores * (1.0 / math.sqrt(size) if scale is None else scale)
    scores = scores if cap is None else cap * jnp.tanh(scores / cap)
    if bias is not None:
        scores = scores + bias
    if mask is None:
        return jax.nn.softmax(scores)
    weights = jax.nn.softmax(jnp.where(mask[:, None], scores, jnp.finfo(jnp.float32).min))
    return jnp.where(mask.any(-1)[:, None, :, None], weights, 0.0)


def attend(q: Array, k: Array, v: Array, mask: Array | None = None, bias: Array | None = None,
           scale: float | None = None, drop: Callable[[Array], Array] | None = None, cap: float | None = None) -> Array:
    """The weighted sum of the values [b, t, h, k]: the plain core, and the oracle of all others."""
    weights = weigh(q, k, mask, bias, scale, cap)
    if drop is not None:
        weights = drop(weights)
    b, h, t, s = weights.shape
    g = v.shape[2]
    told = tell(weights.astype(v.dtype).reshape(b, g, h // g * t, s), v.swapaxes(1, 2))
    return told.reshape(b, h, t, -1).swapaxes(1, 2)


@jax.custom_vjp
def score(q: Array, k: Array) -> Array:
    """Every query times every key [b, g, t, s], in float32.

    This gradient and the next are written out (so there is no forward mode): of the two ways round to multiply, they turn
    the small matrix, where XLA would turn the one that is as long as it is wide.
    """
    return jnp.einsum("bgtk,bgsk->bgts", q, k, preferred_element_type=jnp.float32)


def _score_backward(kept: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    q, k = kept
    dy = dy.astype(q.dtype)
    return jnp.einsum("bgts,bgsk->bgtk", dy, k), jnp.einsum("bgkt,bgts->bgks", q.swapaxes(2, 3), dy).swapaxes(2, 3)


@jax.custom_vjp
def tell(weights: Array, v: Array) -> Array:
    """The values, summed by weight [b, g, t, k]."""
    return jnp.einsum("bgts,bgsk->bgtk", weights, v)


def _tell_backward(kept: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    weights, v = kept
    return jnp.einsum("bgtk,bgsk->bgts", dy, v), jnp.einsum("bgkt,bgts->bgks", dy.swapaxes(2, 3), weights).swapaxes(2, 3)


score.defvjp(lambda q, k: (score(q, k), (q, k)), _score_backward)
tell.defvjp(lambda weights, v: (tell(weights, v), (weights, v)), _tell_backward)


def fused(q: Array, k: Array, v: Array, mask: Array | None = None, bias: Array | None = None,
          scale: float | None = None, drop: Callable[[Array], Array] | None = None) -> Array:
    """JAX's own kernel: cuDNN's flash attention on a GPU when the types allow it, XLA's elsewhere."""
    if drop is not None:
        raise ValueError("the fused core cannot drop attention weights; train with dropout 0 there, or with `attend`")
    on_gpu = jax.default_backend() == "gpu" and q.dtype in (jnp.bfloat16, jnp.float16)
    mask = None if mask is None else mask[:, None]
    attended = jax.nn.dot_product_attention(q, k, v, bias, mask, scale=scale, implementation="cudnn" if on_gpu else "xla")
    return attended if mask is None else jnp.where(mask.any(-1).swapaxes(1, 2)[..., None], attended, 0)


@dataclasses.dataclass(frozen=True)
class Capped:
    """The plain core, its scores squeezed between -cap and cap: Gemma 2's."""

    cap: float

    def __call__(self, q: Array, k: Array, v: Array, mask: Array | None = None, bias: Array | None = None,
                 scale: float | None = None, drop: Callable[[Array], Array] | None = None) -> Array:
        return attend(q, k, v, mask, bias, scale, drop, self.cap)


@struct.dataclass
class Attention:
    """The four projections around the core. It knows no causality: who may see whom is the mask's business."""

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    query_norm: Part | None = None
    key_norm: Part | None = None
    scale: float | None = static(None)
    dropout: float = static(0.0)
    core: Core = static(attend)

    @classmethod
    def of(cls, size: Any, bias: bool = False, initialiser: Initialiser | None = None, last: Initialiser | None = None,
           groups: str = "heads", **choices: Any) -> "Attention":
        key, value = (Linear.of(size, f"embed -> {groups} head", bias, initialiser) for _ in range(2))
        return cls(Linear.of(size, "embed -> heads head", bias, initialiser), key, value,
                   Linear.of(size, "heads head -> embed", bias, last or initialiser), **choices)

    def __call__(self, x: Array, *, mask: Array | None = None, bias: Array | None = None,
                 rotate: Callable[[Array], Array] | None = None, cache: Cache | Ring | None = None,
                 positions: Array | None = None, key: Array | None = None) -> tuple[Array, Cache | Ring | None]:
        """Self-attention; with a cache, x continues what the cache holds, at these positions."""
        q, k, v = self.query(x), self.key(x), self.value(x)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        if rotate is not None:
            q, k = rotate(q), rotate(k)
        if cache is not None:
            cache, k, v = cache.append(k, v, positions)
            k, v = k.astype(q.dtype), v.astype(q.dtype)
        return self._attend(q, k, v, mask, bias, key), cache

    def remember(self, memory: Array) -> tuple[Array, Array]:
        """Keys and values [b, g, s, k] of what will be attended across to, computed once and laid out as they are read."""
        return self.key(memory).swapaxes(1, 2), self.value(memory).swapaxes(1, 2)

    def across(self, x: Array, remembered: tuple[Array, Array], *, mask: Array | None = None,
               key: Array | None = None) -> Array:
        """Cross-attention: x asks, the memory answers. Where x has more rows, a memory answers as many in turn: its beams."""
        folded = x.reshape(len(remembered[0]), -1, x.shape[-1])
        k, v = (a.swapaxes(1, 2) for a in remembered)
        return self._attend(self.query(folded), k, v, mask, None, key).reshape(x.shape)

    def _attend(self, q: Array, k: Array, v: Array, mask: Array | None, bias: Array | None, key: Array | None) -> Array:
        q, k, v = shard(q, "batch", "length", "heads", None), *(shard(a, "batch", None, "groups", None) for a in (k, v))
        drop = None if key is None or self.dropout == 0.0 else lambda weights: dropout(weights, self.dropout, key)
        scale = 1.0 / math.sqrt(q.shape[-1]) if self.scale is None else self.scale
        return self.out(self.core(q, k, v, mask, bias, scale, drop))
