"""Routed experts: many feed-forward layers, of which each token is sent to the few that a router likes best for it."""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Activation, Linear, static
from transformer.weights import Initialiser, repeated

Array = jax.Array


@struct.dataclass
class Experts:
    """Gated feed-forward layers [experts, in, out]; a token's answer is the mean of its `chosen` ones', by their odds.

    No token is dropped: they are sorted by expert, and multiplied in groups as long as they turn out to be.
    """

    router: Linear
    gate: Linear
    up: Linear
    down: Linear
    activation: Activation = static(jax.nn.silu)
    chosen: int = static(2)

    @classmethod
    def of(cls, size: Any, activation: Activation = jax.nn.silu, chosen: int = 2,
           initialiser: Initialiser | None = None) -> "Experts":
        def matrices(axes: str) -> Linear:
            return repeated(Linear.of(size, axes, initialiser=initialiser), size.experts, "experts")

        return cls(Linear.of(size, "embed -> experts", initialiser=initialiser), matrices("embed -> mlp"),
                   matrices("embed -> mlp"), matrices("mlp -> embed"), activation, chosen)

    def __call__(self, x: Array) -> Array:
        tokens = x.reshape(-1, x.shape[-1])
        odds, experts = jax.lax.top_k(jax.nn.softmax(self.router(tokens).astype(jnp.float32)), self.chosen)
        odds = odds / odds.sum(-1, keepdims=True)
        order = jnp.argsort(experts.reshape(-1))
        counts = jnp.bincount(experts.reshape(-1), length=len(self.gate.kernel))
        asked = tokens[order // self.chosen]

        def through(x: Array, experts: Linear) -> Array:
            return jax.lax.ragged_dot(x, experts.kernel.astype(x.dtype), counts.astype(jnp.int32))

        answers = through(self.activation(through(asked, self.gate)) * through(asked, self.up), self.down)
        weighted = answers * odds.reshape(-1)[order][:, None].astype(x.dtype)
        return jnp.zeros_like(tokens).at[order // self.chosen].add(weighted).reshape(x.shape)
