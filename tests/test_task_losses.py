"""Losses of tasks against the same in numpy; rows that only fill a batch count for nothing."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from transformer import losses

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(11, 3)).astype(np.float32)


def text(tokens, present=None, kinds=None, key=None):
    return (TABLE[tokens] * present[..., None]).sum(1)


def tokens_of(tokens, present=None, kinds=None, key=None):
    return jnp.asarray(TABLE[tokens])


def ends(tokens, present=None, kinds=None, key=None):
    return jnp.asarray(TABLE[tokens][..., :2])


def nats(logits, labels):
    logits = np.asarray(logits, float)
    return -np.take_along_axis(logits - np.log(np.exp(logits).sum(-1, keepdims=True)), np.asarray(labels)[..., None], -1)[..., 0]


def padded(batch):
    """With two rows as `held_out_batches` adds them."""
    return {name: np.concatenate([x, np.zeros((2, *x.shape[1:]), x.dtype)]) for name, x in batch.items()}


BATCH = {"tokens": RANDOM.integers(0, 11, (4, 7)), "present": np.arange(7)[None] < np.array([[3], [7], [5], [4]]),
         "label": np.array([0, 2, 1, 1]), "labels": RANDOM.integers(0, 3, (4, 7)), "weights": RANDOM.random((4, 7)).astype(np.float32),
         "passage": (np.arange(7) >= 2) & (np.arange(7) < np.array([[3], [7], [5], [4]])),
         "first": np.array([2, 3, 2, 3]), "last": np.array([2, 5, 3, 3])}


@pytest.mark.parametrize(("loss", "model"), [(losses.text_class, text), (losses.token_class, tokens_of), (losses.answer_span, ends)])
def test_rows_that_fill_a_batch_do_not_count(loss, model):
    one, other = loss(model, BATCH), loss(model, padded(BATCH))
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)
    assert np.isfinite(other[0])


def test_classes_of_texts_and_tokens():
    total, weight, metrics = losses.text_class(text, BATCH)
    logits = text(BATCH["tokens"], BATCH["present"])
    np.testing.assert_allclose(total, nats(logits, BATCH["label"]).sum(), rtol=1e-5)
    assert weight == 4 and metrics["right"][0] == (logits.argmax(-1) == BATCH["label"]).sum()
    total, weight, metrics = losses.token_class(tokens_of, BATCH)
    logits = TABLE[BATCH["tokens"]]
    np.testing.assert_allclose(total, (nats(logits, BATCH["labels"]) * BATCH["weights"]).sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics["right"][0], ((logits.argmax(-1) == BATCH["labels"]) * BATCH["weights"]).sum(), rtol=1e-5)


def test_an_answer_lies_in_the_passage():
    total, _, metrics = losses.answer_span(ends, BATCH)
    logits = np.where(BATCH["passage"][..., None], TABLE[BATCH["tokens"]][..., :2], -1e9)
    want = (nats(logits[..., 0], BATCH["first"]) + nats(logits[..., 1], BATCH["last"])) / 2
    np.testing.assert_allclose(total, want.sum(), rtol=1e-5)
    first, last = losses.best_spans(jnp.asarray(logits), longest=2)
    assert (first <= last).all() and (last < first + 2).all()
    for row in range(4):
        scores = {(i, j): logits[row, i, 0] + logits[row, j, 1] for i in range(7) for j in range(i, min(i + 2, 7))}
        assert max(scores, key=lambda span: scores[span]) == (int(first[row]), int(last[row]))
        assert BATCH["passage"][row, first[row]] and BATCH["passage"][row, last[row]]
    assert 0 <= metrics["exact"][0] <= 4


def test_an_answer_is_right_by_its_words_wherever_they_stand():
    tokens = np.array([[9, 5, 6, 8, 5, 6], [9, 5, 6, 8, 5, 7], [9, 5, 6, 8, 5, 5]])

    def points(tokens, present=None, kinds=None, key=None):
        """At the second place as the first token of the answer, at the third as the last."""
        return jnp.zeros((*tokens.shape, 2)).at[:, 1, 0].set(9.0).at[:, 2, 1].set(9.0)

    batch = {"tokens": tokens, "present": np.ones((3, 6), bool), "passage": np.ones((3, 6), bool),
             "first": np.array([4, 4, 4]), "last": np.array([5, 5, 4])}
    assert losses.answer_span(points, batch)[2]["exact"][0] == 1


@struct.dataclass
class Encoder:
    table: jax.Array
    kernel: jax.Array

    def encode(self, tokens, *, present=None, kinds=None, key=None):
        return self.table[tokens]

    def words(self, hidden):
        return hidden @ self.kernel


@struct.dataclass
class Both:
    teacher: Encoder
    student: Encoder


def encoder(seed):
    random = np.random.default_rng(seed)
    return Encoder(*(jnp.asarray(random.normal(size=shape), jnp.float32) for shape in ((11, 5), (5, 11))))


MASKS = {"tokens": BATCH["tokens"], "present": BATCH["present"], "masked": RANDOM.integers(0, 3, (4, 2)),
         "labels": RANDOM.integers(0, 11, (4, 2)), "weights": np.array([[1, 1], [1, 0], [1, 1], [0, 0]], np.float32)}


def test_distillation_is_the_mean_of_three():
    model = Both(encoder(0), encoder(1))
    total, weight, _ = losses.distillation(model, MASKS, temperature=3.0, shares=(5, 2, 1))
    taught, learned = (np.asarray(side.table[MASKS["tokens"]], float) for side in (model.teacher, model.student))

    def at_masks(hidden, side):
        return np.take_along_axis(hidden, MASKS["masked"][..., None], 1) @ np.asarray(side.kernel, float)

    teacher, student = at_masks(taught, model.teacher), at_masks(learned, model.student)
    wanted, given = (np.exp(x / 3) / np.exp(x / 3).sum(-1, keepdims=True) for x in (teacher, student))
    soft = 9 * (wanted * np.log(wanted / given)).sum(-1)
    cosine = (taught * learned).sum(-1) / np.linalg.norm(taught, axis=-1) / np.linalg.norm(learned, axis=-1)
    present, asked = MASKS["present"], MASKS["weights"].sum(-1)
    apart = ((1 - cosine) * present).sum(-1) / np.maximum(present.sum(-1), 1)
    want = ((5 * soft + 2 * nats(student, MASKS["labels"])) * MASKS["weights"]).sum() + (apart * asked).sum()
    assert weight == 5
    np.testing.assert_allclose(total, want / 8, rtol=1e-4)
    parts = [losses.distillation(model, {name: value[rows] for name, value in MASKS.items()}, temperature=3.0)[0] for rows in ([0, 3], [1, 2])]
    np.testing.assert_allclose(sum(parts), total, rtol=1e-5)


@pytest.mark.slow
def test_a_teacher_learns_nothing_and_is_its_own_best_student():
    one = encoder(0)
    gradients = jax.grad(lambda model: losses.distillation(model, MASKS)[0])(Both(one, encoder(1)))
    assert not any(x.any() for x in jax.tree.leaves(gradients.teacher)) and gradients.student.table.any()
    _, _, metrics = losses.distillation(Both(one, one), MASKS)
    assert abs(metrics["soft"][0]) < 1e-4 and abs(metrics["direction"][0]) < 1e-4


def test_right_guesses_under_masks_are_counted():
    one = encoder(0)
    total, _, metrics = losses.masked_right(one, MASKS)
    logits = np.asarray(one.words(one.encode(MASKS["tokens"])))
    logits = np.take_along_axis(logits, MASKS["masked"][..., None], 1)
    np.testing.assert_allclose(total, (nats(logits, MASKS["labels"]) * MASKS["weights"]).sum(), rtol=1e-4)
    assert metrics["right"][0] == ((logits.argmax(-1) == MASKS["labels"]) * MASKS["weights"]).sum()
