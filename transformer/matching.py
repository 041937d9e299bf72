"""What models of two texts, or of a text and a picture, are trained to do: vectors that lie near each other where both belong
together, or one score for both.

`tokens` are [b, n, t] where n texts are compared: a query, its document, and mined documents that are not its own.
"""
from typing import Any

import jax
import jax.numpy as jnp

from transformer.losses import Batch, Result, cross_entropy

Array = jax.Array


def contrastive(model: Any, batch: Batch, key: Array | None = None, scale: float = 20.0) -> Result:
    """A query picks its document among all of the batch, and a document its query: InfoNCE, both ways."""
    vectors, there = _vectors(model, batch, key)
    queries, documents = vectors[:, 0], vectors[:, 1:].swapaxes(0, 1).reshape(-1, vectors.shape[-1])
    own = jnp.arange(len(queries))
    absent = jnp.where(jnp.tile(there, len(documents) // len(queries)), 0.0, -1e9)[None]
    logits = scale * queries @ documents.T + absent
    _, forth = cross_entropy(logits, own)
    _, back = cross_entropy(logits[:, :len(queries)].T + absent[:, :len(queries)], own)
    weight = there.sum()
    right = ((logits.argmax(-1) == own) * there).sum()
    return ((forth + back) / 2 * there).sum(), weight, {"nats": ((forth * there).sum(), weight), "right": (right, weight)}


def image_and_text(model: Any, batch: Batch, key: Array | None = None) -> Result:
    """CLIP's: a text picks its picture among all of the batch, and a picture its text. Texts that say the same are no rivals."""
    tokens, there = batch["tokens"], batch["present"].any(-1).astype(jnp.float32)
    logits = model(tokens, batch["images"], present=batch["present"])
    own = jnp.arange(len(tokens))
    same = (tokens[:, None] == tokens[None]).all(-1) & (own[:, None] != own[None])
    logits = jnp.where(same | (there == 0)[None] | (there == 0)[:, None], -1e9, logits)
    _, forth = cross_entropy(logits, own)
    _, back = cross_entropy(logits.T, own)
    weight = there.sum()
    right = ((logits.argmax(0) == own) * there).sum()
    return ((forth + back) / 2 * there).sum(), weight, {"right": (right, weight)}


def likeness(model: Any, batch: Batch, key: Array | None = None) -> Result:
    """The cosine of two texts is to be their `score`: the squared error."""
    vectors, there = _vectors(model, batch, key)
    cosine = (vectors[:, 0] * vectors[:, 1]).sum(-1)
    error, weight = (jnp.square(cosine - batch["score"]) * there).sum(), there.sum()
    return error, weight, {"error": (error, weight)}


def relevance(model: Any, batch: Batch, key: Array | None = None) -> Result:
    """Does the second text answer the first? `relevant` says so, from 0 to 1; the model gives one logit."""
    logit = model(batch["tokens"], present=batch["present"], kinds=batch["kinds"], key=key)[:, 0]
    there = batch["present"].any(-1).astype(jnp.float32)
    nats = (jnp.logaddexp(0.0, logit) - batch["relevant"] * logit) * there
    right = (((logit > 0) == (batch["relevant"] > 0.5)) * there).sum()
    return nats.sum(), there.sum(), {"nats": (nats.sum(), there.sum()), "right": (right, there.sum())}


def _vectors(model: Any, batch: Batch, key: Array | None) -> tuple[Array, Array]:
    """The vectors [b, n, d], and which rows are no blank ones."""
    tokens, present = (batch[name].reshape(-1, batch[name].shape[-1]) for name in ("tokens", "present"))
    vectors = model(tokens, present=present, key=key)
    return vectors.reshape(*batch["tokens"].shape[:2], -1), batch["present"].any((1, 2)).astype(jnp.float32)
