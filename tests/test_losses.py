import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from transformer import losses
from transformer.training.step import gradients_of

VOCAB, EMBED, ROWS, LENGTH = 11, 6, 8, 12


@struct.dataclass
class Toy:
    """The least that every loss can be asked of: a table, and a matrix that gives logits."""

    table: jax.Array
    kernel: jax.Array
    verdict: jax.Array

    def hidden(self, source, target=None, *, present=None, positions=None, segments=None, key=None):
        x = self.table[source if target is None else target]
        for more in (positions, segments):
            x = x if more is None else x + jnp.sin(more.astype(jnp.float32))[..., None]
        return x if target is None else x + (self.table[source] * present[..., None]).sum(1, keepdims=True)

    def encode(self, tokens, *, present=None, kinds=None, key=None):
        return (self.table[tokens] + 0.3 * kinds[..., None]) * present[..., None]

    def logits(self, hidden):
        return jnp.tanh(hidden) @ self.kernel

    words = logits

    def follows(self, hidden):
        return hidden[:, 0] @ self.verdict


@pytest.fixture(scope="module")
def toy():
    random = np.random.default_rng(0)
    return Toy(*(jnp.asarray(random.normal(size=shape), jnp.float32) for shape in ((VOCAB, EMBED), (EMBED, VOCAB), (EMBED, 2))))


@pytest.fixture(scope="module")
def batches():
    random = np.random.default_rng(1)

    def ids(*shape):
        return random.integers(0, VOCAB, shape, dtype=np.int32)

    def weights(length):  # very unequal from row to row, so that a mean of means is not the mean
        return ((random.random((ROWS, length)) < np.linspace(0.1, 1, ROWS)[:, None]) * random.uniform(0.5, 2, (ROWS, length))).astype(np.float32)

    present = np.arange(LENGTH)[None] < np.arange(5, 5 + ROWS)[:, None]
    return {
        "next_token": {"tokens": ids(ROWS, LENGTH), "targets": ids(ROWS, LENGTH), "weights": weights(LENGTH),
                       "positions": ids(ROWS, LENGTH), "segments": ids(ROWS, LENGTH)},
        "sequence_to_sequence": {"source": ids(ROWS, LENGTH), "present": present, "target": ids(ROWS, 4), "labels": ids(ROWS, 4),
                                 "weights": weights(4)},
        "masked_and_next": {"tokens": ids(ROWS, LENGTH), "kinds": ids(ROWS, LENGTH) % 2, "present": present,
                            "masked": random.integers(0, 5, (ROWS, 4), dtype=np.int32), "labels": ids(ROWS, 4),
                            "weights": weights(4), "follows": ids(ROWS) % 2},
    }


LOSSES = ["next_token", "sequence_to_sequence", "masked_and_next"]


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize(("smoothing", "z"), [(0.0, 0.0), (0.1, 0.0), (0.0, 1e-2), (0.3, 1e-2)])
def test_cross_entropy_is_that_against_a_smoothed_target(smoothing, z):
    random = np.random.default_rng(2)
    logits, labels = random.normal(0, 3, (4, 5, VOCAB)), random.integers(0, VOCAB, (4, 5))
    target = (1 - smoothing) * np.eye(VOCAB)[labels] + smoothing / VOCAB
    trained, nats = jax.jit(lambda logits: losses.cross_entropy(logits, labels, smoothing, z))(logits.astype(np.float32))
    want = -(target * log_softmax(logits)).sum(-1) + z * np.log(np.exp(logits).sum(-1)) ** 2
    np.testing.assert_allclose(trained, want, rtol=1e-5)
    np.testing.assert_allclose(nats, -(np.eye(VOCAB)[labels] * log_softmax(logits)).sum(-1), rtol=1e-5, atol=1e-6)


def test_large_logits_stay_finite():
    trained, nats = losses.cross_entropy(jnp.asarray([[1e4, -1e4]]), jnp.asarray([1]), 0.1)
    assert float(nats[0]) == 2e4 and jnp.isfinite(trained).all()


def test_next_token_is_the_weighted_sum_over_tokens(toy, batches):
    batch = batches["next_token"]
    value, weight, metrics = jax.jit(losses.next_token)(toy, batch)
    logits = log_softmax(np.asarray(toy.logits(toy.hidden(batch["tokens"], positions=batch["positions"], segments=batch["segments"])), float))
    chosen = np.take_along_axis(logits, batch["targets"][..., None], -1)[..., 0]
    np.testing.assert_allclose(value, -(chosen * batch["weights"]).sum(), rtol=1e-5)
    np.testing.assert_allclose(weight, batch["weights"].sum(), rtol=1e-6)
    assert float(metrics["nats"][0]) == float(value) and float(metrics["nats"][1]) == float(weight)
    # Positions and segments are handed on: without them it is another loss.
    unpacked = {name: batch[name] for name in ("tokens", "targets", "weights")}
    assert float(jax.jit(losses.next_token)(toy, unpacked)[0]) != float(value)


def test_sequence_to_sequence_sees_only_what_is_present(toy, batches):
    batch = batches["sequence_to_sequence"]
    value, weight, _ = jax.jit(losses.sequence_to_sequence)(toy, batch)
    logits = log_softmax(np.asarray(toy.logits(toy.hidden(batch["source"], batch["target"], present=batch["present"])), float))
    chosen = np.take_along_axis(logits, batch["labels"][..., None], -1)[..., 0]
    np.testing.assert_allclose(value, -(chosen * batch["weights"]).sum(), rtol=1e-5)
    np.testing.assert_allclose(weight, batch["weights"].sum(), rtol=1e-6)


def test_masked_tokens_are_guessed_at_the_masks_and_nowhere_else(toy, batches):
    batch = batches["masked_and_next"]
    asked = []

    @struct.dataclass
    class Watched(Toy):
        def words(self, hidden):
            asked.append(hidden.shape)
            return self.logits(hidden)

    value, weight, _ = jax.jit(losses.masked_token)(Watched(toy.table, toy.kernel, toy.verdict), batch)
    assert asked == [(ROWS, 4, EMBED)]
    hidden = np.asarray(toy.encode(batch["tokens"], present=batch["present"], kinds=batch["kinds"]))
    want = 0.0
    for row, mask in np.ndindex(ROWS, 4):
        logits = log_softmax(np.asarray(toy.logits(hidden[row, batch["masked"][row, mask]]), float))
        want -= batch["weights"][row, mask] * logits[batch["labels"][row, mask]]
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(weight, batch["weights"].sum(), rtol=1e-6)


def test_the_verdict_counts_rows(toy, batches):
    batch = batches["masked_and_next"]
    value, weight, metrics = jax.jit(losses.next_sentence)(toy, batch)
    verdict = log_softmax(np.asarray(toy.follows(toy.encode(batch["tokens"], present=batch["present"], kinds=batch["kinds"])), float))
    np.testing.assert_allclose(value, -verdict[np.arange(ROWS), batch["follows"]].sum(), rtol=1e-5)
    assert float(weight) == ROWS
    assert float(metrics["follows_right"][0]) == (verdict.argmax(-1) == batch["follows"]).sum()


def test_with_every_mask_used_both_means_of_bert_count_once(toy, batches):
    batch = {**batches["masked_and_next"], "weights": np.ones((ROWS, 4), np.float32)}
    both, masked, follows = (jax.jit(loss)(toy, batch) for loss in (losses.masked_and_next, losses.masked_token, losses.next_sentence))
    np.testing.assert_allclose(both[0] / both[1], masked[0] / masked[1] + follows[0] / follows[1], rtol=1e-6)
    assert both[2].keys() == {"nats", "follows", "follows_right"}


@pytest.mark.parametrize("name", LOSSES)
def test_blank_rows_count_for_nothing(toy, batches, name):
    """The last held-out batch is filled up with rows that are zero in every key."""
    batch = batches[name]
    filled = {key: np.concatenate([value, np.zeros_like(value[:3])]) for key, value in batch.items()}
    loss = jax.jit(getattr(losses, name))
    for got, want in zip(jax.tree.leaves(loss(toy, filled)), jax.tree.leaves(loss(toy, batch)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("name", ["next_token", *(pytest.param(name, marks=pytest.mark.slow) for name in LOSSES[1:])])
def test_tiled_equals_whole(toy, batches, name):
    loss = partial(getattr(losses, name), smoothing=0.1, z=1e-2)
    whole, tiled = (jax.jit(partial(gradients_of, partial(loss, tile=tile)))(toy, batches[name], jax.random.key(0)) for tile in (None, 2))
    for got, want in zip(jax.tree.leaves(tiled), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_logits_of_a_tiled_loss_never_exist_all_at_once(toy, batches):
    batch = batches["next_token"]

    def shapes(tile):
        def every(jaxpr):
            for equation in jaxpr.eqns:
                yield from (v.aval.shape for v in equation.outvars)
                for sub in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
                    if hasattr(sub, "jaxpr") or hasattr(sub, "eqns"):
                        yield from every(getattr(sub, "jaxpr", sub))
        grad = jax.grad(lambda toy: losses.next_token(toy, batch, tile=tile)[0])
        return set(every(jax.make_jaxpr(grad)(toy).jaxpr))

    assert (ROWS, LENGTH, VOCAB) in shapes(None)
    assert (ROWS, LENGTH, VOCAB) not in shapes(3) and (ROWS, 3, VOCAB) in shapes(3)


def test_a_tile_that_does_not_divide_is_refused(toy, batches):
    with pytest.raises(ValueError, match="12 cannot be cut into tiles of 5"):
        losses.next_token(toy, batches["next_token"], tile=5)


@pytest.mark.parametrize("name", ["next_token", "masked_and_next", pytest.param("sequence_to_sequence", marks=pytest.mark.slow)])
def test_micro_batches_of_unequal_weight_add_up_to_the_whole(toy, batches, name):
    loss = getattr(losses, name)
    whole, parts = (jax.jit(partial(gradients_of, loss, accumulate=n))(toy, batches[name], jax.random.key(0)) for n in (1, 4))
    value, weight, _ = jax.jit(loss)(toy, batches[name])
    np.testing.assert_allclose(whole[1], value / weight, rtol=1e-6)
    for got, want in zip(jax.tree.leaves(parts), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_a_batch_without_weight_has_no_loss_and_no_gradient(toy, batches):
    batch = {**batches["next_token"], "weights": np.zeros((ROWS, LENGTH), np.float32)}
    gradients, value, metrics = jax.jit(partial(gradients_of, losses.next_token))(toy, batch, jax.random.key(0))
    assert float(value) == 0 and all(float(mean) == 0 for mean in metrics.values())
    assert not any(g.any() for g in jax.tree.leaves(gradients)) and math.isfinite(float(value))
