"""Who may look at whom: small boolean arrays [batch, query, key], combined by `&`.

    mask = causal(length) & keys(present)
"""
import jax
import jax.numpy as jnp

Array = jax.Array


def causal(length: int) -> Array:
    """Every position sees itself and what came before."""
    return before(jnp.arange(length)[None], jnp.arange(length)[None])


def before(queries: Array, keys: Array) -> Array:
    """Causality between positions [batch, query] and [batch, key]; a key position below zero is an empty slot."""
    return (keys[:, None, :] <= queries[:, :, None]) & (keys >= 0)[:, None, :]


def window(queries: Array, keys: Array, reach: int | Array) -> Array:
    """Keys fewer than `reach` positions behind their query, or ahead of it."""
    return jnp.abs(queries[:, :, None] - keys[:, None, :]) < reach


def keys(present: Array) -> Array:
    """Keys that are there [batch, key]: padding is seen by nobody."""
    return present[:, None, :]


def same(queries: Array, keys: Array) -> Array:
    """Only within the same document of a packed row."""
    return queries[:, :, None] == keys[:, None, :]


def prefix(length: int, lengths: Array) -> Array:
    """Causal, but the first `lengths` [batch] positions of a row are seen by all of it."""
    return causal(length) | keys(jnp.arange(length)[None] < lengths[:, None])


def decoder(length: int, *, present: Array | None = None, segments: Array | None = None) -> Array:
    """What a decoder's tokens see: what came before, in their own document, padding apart."""
    return causal(length) & encoder(present=present, segments=segments)


def encoder(*, present: Array | None = None, segments: Array | None = None) -> Array:
    """What an encoder's tokens see: everything in their own document, padding apart."""
    mask = jnp.ones((1, 1, 1), bool)
    if present is not None:
        mask = mask & keys(present)
    if segments is not None:
        mask = mask & same(segments, segments)
    return mask
