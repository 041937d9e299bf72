"""What a model is trained to do: a loss is (model, batch, key) -> (sum, weight, metrics).

The sum and its weight come apart so that micro-batches of unequal weight add up to exactly the whole batch, but where rows
are each other's rivals (`next_vector`, `matching`): there a micro-batch has fewer. Metrics are pairs of a sum and a weight too.
`smoothing`, `z` and `tile` are values: `partial(next_token, z=1e-4)` is a loss.
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
    """A decoder's: every token from those before it, in its own document when the rows are packed, and what it is told beside."""
    context = {name: batch[name] for name in ("positions", "segments", "condition") if name in batch}
    hidden = model.hidden(batch["tokens"], key=key, **context)
    return token_loss(model.logits, hidden, batch["targets"], batch["weights"], **values)


def next_frame(model: Any, batch: Batch, key: Array | None = None) -> Result:
    """A decoder's over vectors: the squared error of every frame but the first, told from those before it; a mean over its bands."""
    said = model(batch["frames"][:, :-1], key=key)
    error = jnp.square(said - batch["frames"][:, 1:]).mean(-1) * batch["weights"]
    total, weight = error.sum(), batch["weights"].sum()
    return total, weight, {"error": (total, weight)}


def next_token_right(model: Any, batch: Batch, key: Array | None = None, groups: tuple[str, ...] = ()) -> Result:
    """A decoder's, and how often it is right in each of some groups of targets: `right_NAME` for each name.

    `group` [b, t] says which group a target belongs to, -1 none. A target is right when it is the likeliest token; or, where
    the batch has `foil` [b, t], a wrong form of each, when it is likelier than its foil.
    """
    hidden = model.hidden(batch["tokens"], key=key)
    logits = model.logits(hidden)
    trained, nats = (x * batch["weights"] for x in cross_entropy(logits, batch["targets"]))
    weight = batch["weights"].sum()

    def logit(tokens: Array) -> Array:
        return jnp.take_along_axis(logits, tokens[..., None], -1)[..., 0]

    right = logit(batch["targets"]) > logit(batch["foil"]) if "foil" in batch else logits.argmax(-1) == batch["targets"]
    there = [(batch["group"] == number) * (batch["weights"] > 0) for number in range(len(groups))]
    metrics = {f"right_{name}": ((right * here).sum().astype(jnp.float32), here.sum().astype(jnp.float32))
               for name, here in zip(groups, there, strict=True)}
    return trained.sum(), weight, {"nats": (nats.sum(), weight), **metrics}


def classified_and_next(model: Any, batch: Batch, key: Array | None = None, language: float = 0.5) -> Result:
    """A decoder's verdict on each row, plus `language` times its next-token loss, as GPT was fine-tuned.

    The verdict weighs one for each row; a blank row, which has no token to predict, weighs nothing.
    """
    hidden = model.decoder.hidden(batch["tokens"], key=key)
    there = batch["weights"].any(-1).astype(jnp.float32)
    verdict = model.verdict(hidden, batch["weights"] > 0)
    _, nats = cross_entropy(verdict, batch["label"])
    nats, rows = (nats * there).sum(), there.sum()
    shares = batch["weights"] / jnp.maximum(batch["weights"].sum(-1, keepdims=True), 1.0)  # a row's tokens weigh one together
    spoken, _, _ = token_loss(model.decoder.logits, hidden, batch["targets"], shares)
    right = ((verdict.argmax(-1) == batch["label"]) * there).sum()
    return nats + language * spoken, rows, {"verdict": (nats, rows), "accuracy": (right, rows), "nats": (spoken, rows)}


def next_vector(model: Any, batch: Batch, key: Array | None = None, temperature: float = 0.05) -> Result:
    """Which sentence comes next, of those that come next in every row of the batch: InfoNCE, step by step.

    `sentences` [b, n, w] are filled up with zeros; a row without words is neither asked nor a candidate.
    """
    vectors = model.vectors(batch["sentences"])
    scores = jnp.einsum("btd,ctd->tbc", model.next(vectors[:, :-1]), vectors[:, 1:]) / temperature
    there = (batch["sentences"] > 0).any((1, 2))
    scores = jnp.where(there[None, None], scores, jnp.finfo(scores.dtype).min)
    labels = jnp.broadcast_to(jnp.arange(len(there))[None], scores.shape[:2])
    _, nats = cross_entropy(scores, labels)
    asked = jnp.broadcast_to(there[None], labels.shape).astype(jnp.float32)
    right = ((scores.argmax(-1) == labels) * asked).sum()
    return (nats * asked).sum(), asked.sum(), {"top_1": (right, asked.sum())}


def direct_preference(model: Any, batch: Batch, key: Array | None = None, strength: float = 0.1) -> Result:
    """DPO (Rafailov et al. 2023): the policy says the preferred answer rather than the rejected one, more so than the reference.

    `preferred` is how often it does; a blank row, in which no token weighs anything, doesn't count.
    """

    def said(decoder: Any, prefix: str, key: Array | None = None) -> Array:
        logits = decoder.logits(decoder.hidden(batch[f"{prefix}tokens"], key=key))
        _, nats = cross_entropy(logits, batch[f"{prefix}targets"])
        return -(nats * batch[f"{prefix}weights"]).sum(-1)

    gains = [said(model.policy, prefix, key) - jax.lax.stop_gradient(said(model.reference, prefix)) for prefix in ("", "rejected_")]
    margin = gains[0] - gains[1]
    there = batch["weights"].any(-1).astype(jnp.float32)
    rows = there.sum()
    return ((jax.nn.softplus(-strength * margin) * there).sum(), rows,
            {"preferred": (((margin > 0) * there).sum(), rows), "margin": ((margin * there).sum(), rows)})


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
    return token_loss(model.words, _gathered(hidden, batch), batch["labels"], batch["weights"], **values)


def _follows(model: Any, hidden: Array, batch: Batch) -> Result:
    verdict = model.follows(hidden)
    _, nats = cross_entropy(verdict, batch["follows"])
    there = batch["present"].any(-1).astype(jnp.float32)  # not the blank rows that fill up a last batch
    nats, rows = (nats * there).sum(), there.sum()
    right = ((verdict.argmax(-1) == batch["follows"]) * there).sum()
    return nats, rows, {"follows": (nats, rows), "follows_right": (right, rows)}


def text_class(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """What kind of text it is: `label`, one for a row."""
    logits = model(batch["tokens"], present=batch["present"], kinds=batch.get("kinds"), key=key)
    there = batch["present"].reshape(len(logits), -1).any(-1).astype(jnp.float32)
    return _classes(logits, batch["label"], there, values)


def image_class(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """What is on an image: `label`, one for a row."""
    return _classes(model(batch["images"], key=key), batch["label"], batch["weights"], values)


def token_class(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """What every token is, where `weights` asks for it."""
    logits = model(batch["tokens"], present=batch["present"], kinds=batch.get("kinds"), key=key)
    return _classes(logits, batch["labels"], batch["weights"], values)


def answer_span(model: Any, batch: Batch, key: Array | None = None, longest: int = 16) -> Result:
    """Where in the `passage` an answer starts and ends: the mean of both. `exact` counts answers of the same tokens, wherever."""
    logits = span_logits(model, batch, key)
    nats = sum(cross_entropy(logits[..., side], batch[name])[1] for side, name in enumerate(("first", "last"))) / 2
    first, last = best_spans(logits, longest)
    there = batch["present"].any(-1).astype(jnp.float32)
    total, rows = (nats * there).sum(), there.sum()
    said, truth = (_spans(batch["tokens"], *ends, longest) for ends in ((first, last), (batch["first"], batch["last"])))
    exact = ((said == truth).all(-1) * there).sum()
    return total, rows, {"nats": (total, rows), "exact": (exact, rows)}


def _spans(tokens: Array, first: Array, last: Array, longest: int) -> Array:
    """The tokens from first to last [b, 1 + longest], then -1; of a longer span the first."""
    place = first[:, None] + jnp.arange(longest + 1)[None]
    return jnp.where(place <= last[:, None], jnp.take_along_axis(tokens, jnp.minimum(place, tokens.shape[1] - 1), axis=1), -1)


def span_logits(model: Any, batch: Batch, key: Array | None = None) -> Array:
    """How likely every token is the first of the answer, and the last [b, t, 2]; nothing but the passage is possible."""
    logits = model(batch["tokens"], present=batch["present"], kinds=batch.get("kinds"), key=key)
    return jnp.where(batch["passage"][..., None], logits, -1e9)


def best_spans(logits: Array, longest: int = 16) -> tuple[Array, Array]:
    """The first and the last token of the likeliest span that ends after it starts and is not too long."""
    length = logits.shape[1]
    place = jnp.arange(length)
    possible = (place[None, :] >= place[:, None]) & (place[None, :] < place[:, None] + longest)
    scores = jnp.where(possible[None], logits[:, :, None, 0] + logits[:, None, :, 1], -jnp.inf)
    best = scores.reshape(len(logits), -1).argmax(-1)
    return best // length, best % length


def distillation(model: Any, batch: Batch, key: Array | None = None, temperature: float = 2.0,
                 shares: tuple[float, float, float] = (5.0, 2.0, 1.0)) -> Result:
    """DistilBERT's three: the teacher's softened guesses, the masked words, the direction of its vectors.

    The model has a `teacher`, which is read without dropout or gradient, and a `student` that is as wide.
    """
    taught = jax.lax.stop_gradient(_encode(model.teacher, batch, None))
    hidden = _encode(model.student, batch, key)
    there = _gathered(hidden, batch)
    masked, weight, metrics = token_loss(model.student.words, there, batch["labels"], batch["weights"])
    wanted = jax.nn.log_softmax(jax.lax.stop_gradient(model.teacher.words(_gathered(taught, batch))) / temperature)
    logits = model.student.words(there)
    apart = (jnp.exp(wanted) * (wanted - jax.nn.log_softmax(logits / temperature))).sum(-1) * temperature**2
    soft = (apart * batch["weights"]).sum()
    turned = (1 - _cosine(hidden, taught)) * batch["present"]
    # A mean over all tokens of a row, weighed like those under its masks.
    direction = (turned.sum(-1) / jnp.maximum(batch["present"].sum(-1), 1) * batch["weights"].sum(-1)).sum()
    total = (shares[0] * soft + shares[1] * masked + shares[2] * direction) / sum(shares)
    right = ((logits.argmax(-1) == batch["labels"]) * batch["weights"]).sum()
    return total, weight, {**metrics, "right": (right, weight), "soft": (soft, weight), "direction": (direction, weight)}


def masked_right(model: Any, batch: Batch, key: Array | None = None, **values: Any) -> Result:
    """As `masked_token`, with the share of masks guessed right."""
    there = _gathered(_encode(model, batch, key), batch)
    total, weight, metrics = token_loss(model.words, there, batch["labels"], batch["weights"], **values)
    right = ((model.words(there).argmax(-1) == batch["labels"]) * batch["weights"]).sum()
    return total, weight, {**metrics, "right": (right, weight)}


def negative_sampling(model: Any, batch: Batch, key: Array | None = None) -> Result:
    """Word2Vec's: the true pair against pairs with words drawn by chance.

    Given are vectors to start from and words to guess: `model.given(given, there)` [b, n, d], `guess` [b, n, m] and, for
    each, `others` [b, n, m, k]; `weights` [b, n, m] says which there are.
    """
    given = model.given(batch["given"], batch["there"])
    true = jnp.einsum("bnd,bnmd->bnm", given, model.contexts(batch["guess"]))
    false = jnp.einsum("bnd,bnmkd->bnmk", given, model.contexts(batch["others"]))
    nats = -jax.nn.log_sigmoid(true) - jax.nn.log_sigmoid(-false).sum(-1)
    total, weight = (nats * batch["weights"]).sum(), batch["weights"].sum()
    return total, weight, {"nats": (total, weight)}


def log_counts(model: Any, batch: Batch, key: Array | None = None, most: float = 100.0, power: float = 0.75) -> Result:
    """GloVe's: the squared error of the logarithm of a count, weighing less where the count is below `most`."""
    trust = jnp.minimum(batch["count"] / most, 1.0) ** power
    error = jnp.square(model(batch["tokens"]) - jnp.log(jnp.maximum(batch["count"], 1e-9))) * trust
    return error.sum(), trust.sum(), {"error": (error.sum(), trust.sum())}


def _classes(logits: Array, labels: Array, weights: Array, values: dict[str, Any]) -> Result:
    trained, nats = cross_entropy(logits, labels, **values)
    weight = weights.sum()
    right = ((logits.argmax(-1) == labels) * weights).sum()
    return (trained * weights).sum(), weight, {"nats": ((nats * weights).sum(), weight), "right": (right, weight)}


def _gathered(hidden: Array, batch: Batch) -> Array:
    return jnp.take_along_axis(hidden, batch["masked"][:, :, None], axis=1)


def _cosine(x: Array, y: Array) -> Array:
    norms = jnp.linalg.norm(x, axis=-1) * jnp.linalg.norm(y, axis=-1)
    return (x * y).sum(-1) / jnp.maximum(norms, 1e-8)
