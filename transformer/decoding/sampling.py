"""The autoregressive loop: one token at a time, its own output fed back, all of it on the device."""
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def continued(model: Any, tokens: Array, memory: Any, count: int, key: Array | None = None, temperature: float = 1.0) -> Array:
    """`count` tokens [b, count] after the given ones: the likeliest each time, or with a key drawn at a temperature.

    `memory` is what `model.start` gave: room for the given tokens and the new ones, and in an encoder-decoder the source.
    """

    def choose(logits: Array, step: Array) -> Array:
        if key is None:
            return logits.argmax(-1).astype(jnp.int32)
        return jax.random.categorical(jax.random.fold_in(key, step), logits / temperature).astype(jnp.int32)

    def through(carry: tuple[Array, Any], step: Array) -> tuple[tuple[Array, Any], Array]:
        token, memory = carry
        logits, memory = model.decode(token[:, None], memory)
        following = choose(logits[:, -1], step)
        return (following, memory), following

    logits, memory = model.decode(tokens, memory)
    first = choose(logits[:, -1], jnp.zeros((), jnp.int32))
    _, rest = jax.lax.scan(through, (first, memory), jnp.arange(1, count))
    return jnp.concatenate([first[:, None], rest.T], axis=1)
