"""What a model is trained to do: a loss is (model, batch, key) -> (sum, weight, metrics).

The sum and its weight come apart so that micro-batches of unequal weight add up to exactly the whole batch; metrics are
pairs of a sum and a weight too. `smoothing`, `z` and `tile` are values: `partial(next_token, z=1e-4)` is a loss.
"""
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
Batch = Mapping[str, Array]
Metrics = dict[str, tuple[Array, Array]]
Result = tuple[Array, Array, Metrics]
Loss = Callable[[Any, Batch, Array | None], Result]


def cross_entropy(logits: Array, labels: Array, smoothing: float = 0.0, z: float = 0.0) -> tuple[Array, Array]:
    """Nats for every label, with and without what is added to train better.

    `smoothing` gives that share of the target to all words alike; `z` times the squared log of the normaliser keeps it near one.
    """
    normaliser = jax.nn.logsumexp(logits, -1)
    # A comparison instead of a lookup: it stays local when the vocabulary is split over devices.
    chosen = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1) == labels[..., None]
    nats = normaliser - jnp.where(chosen, logits, 0.0).sum(-1)
    trained = nats
    if smoothing:
        trained = (1 - smoothing) * nats + smoothing * (normaliser - logits.mean(-1))
    if z:
        trained = trained + z * jnp.square(normaliser)
    return trained, nats


def token_loss(logits: Callable[[Array], Array], hidden: Array, labels: Array, weights: Array,
               smoothing: float = 0.0, z: float = 0.0, tile: int | None = None) -> Result:
    """The weighted cross-entropy of a stream [b, t, d]; with `tile`, logits exist for that many positions at a time."""

    def some(part: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        hidden, labels, weights = part
        trained, nats = cross_entropy(logits(hidden), labels, smoothing, z)
        return (trained * weights).sum(), (nats * weights).sum()

    weight = weights.sum()
    if tile is None:
        trained, nats = some((hidden, labels, weights))
    else:
        if hidden.shape[1] % tile:
            raise ValueError(f"a length of {hidden.shape[1]} cannot be cut into tiles of {tile}; choose a divisor")
        tiles = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(len(x), -1, tile, *x.shape[2:]), 1, 0), (hidden, labels, weights))
        trained, nats = jax.tree.map(jnp.sum, jax.lax.map(jax.checkpoint(some), tiles))
    return trained, weight, {"nats": (nats, weight)}


def next_token(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """A decoder's: every token from those before it, in its own document when the rows are packed."""
    context = {name: batch[name] for name in ("positions", "segments") if name in batch}
    hidden = model.hidden(batch["tokens"], key=key, **context)
    return token_loss(model.logits, hidden, batch["targets"], batch["weights"], **values)


def sequence_to_sequence(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """An encoder-decoder's: every label from the source and the labels before it. On corrupted text, T5's span corruption."""
    hidden = model.hidden(batch["source"], batch["target"], present=batch["present"], key=key)
    return token_loss(model.logits, hidden, batch["labels"], batch["weights"], **values)


def masked_token(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """An encoder's: the words under the masks. Logits are computed where a mask is, and nowhere else."""
    return _masked(model, _encode(model, batch, key), batch, values)


def next_sentence(model: Any, batch: Batch, key: Array | None = None) -> Result:
    """Does the second sentence follow the first?"""
    return _follows(model, _encode(model, batch, key), batch)


def masked_and_next(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """BERT's: both at once. One verdict weighs as much as all masks a full row has, so that each mean counts once."""
    hidden = _encode(model, batch, key)
    masked, weight, metrics = _masked(model, hidden, batch, values)
    follows, _, more = _follows(model, hidden, batch)
    return masked + batch["masked"].shape[1] * follows, weight, {**metrics, **more}


def _encode(model: Any, batch: Batch, key: Array | None) -> Array:
    return model.encode(batch["tokens"], present=batch["present"], kinds=batch.get("kinds"), key=key)


def _masked(model: Any, hidden: Array, batch: Batch, values: dict[str, Any]) -> Result:
    there = jnp.take_along_axis(hidden, batch["masked"][:, :, None], axis=1)
    return token_loss(model.words, there, batch["labels"], batch["weights"], **values)


def _follows(model: Any, hidden: Array, batch: Batch) -> Result:
    verdict = model.follows(hidden)
    _, nats = cross_entropy(verdict, batch["follows"])
    there = batch["present"].any(-1).astype(jnp.float32)  # not the blank rows that fill up a last batch
    nats, rows = (nats * there).sum(), there.sum()
    right = ((verdict.argmax(-1) == batch["follows"]) * there).sum()
    return nats, rows, {"follows": (nats, rows), "follows_right": (right, rows)}
