"""Talks and what is learned from them: the assistant's turns, what comes next, what is preferred, what class a text is of."""
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SPECS, sharp

from transformer.data.made.talks import FACTS, IDS, MANNERS, preferences, read, shared, talks, tokens_of
from transformer.layers import Linear
from transformer.losses import classified_and_next, direct_preference, next_token, next_vector
from transformer.models.gpt import Classifier
from transformer.models.llama import Size
from transformer.models.preference import Preference
from transformer.models.sentences import Sentences

RANDOM = np.random.default_rng(0)


def test_what_is_asked_was_told_turns_ago_and_nothing_told_is_held_out():
    told = {}
    for held_out in (False, True):
        told[held_out] = set()
        for talk in talks(200, seed=int(held_out), held_out=held_out):
            words = [word for _, values, _ in FACTS.values() for turn in talk.turns[0:10:2] for word in turn.split() if word in values]
            told[held_out].add(tuple(sorted(words)))
            assert len(words) == 3 and talk.slot in words and talk.turns[-1] in (talk.kind, talk.curt)
            assert not any(talk.slot in turn.split() for turn in talk.turns[1:-4:2])  # the assistant has not repeated it
            assert read(talk.prompt).endswith(f"{talk.turns[-2]} <end> <assistant>")
    assert not told[False] & told[True]


def test_only_the_assistants_turns_weigh():
    talk = talks(1, seed=0)[0]
    batch = shared([talk], 120)
    weighed = read([int(token) for token in batch["targets"][0][batch["weights"][0] > 0]])
    assert weighed == " ".join(f"{turn} <end>" for turn in talk.turns[1::2])
    tokens, _ = tokens_of(talk.turns)
    assert batch["tokens"][0].tolist() == [*tokens, *[0] * (121 - len(tokens))][:-1]


def test_no_gradient_comes_from_what_the_user_says():
    spec = SPECS["llama"]
    model = sharp(spec)
    batch = {name: array % 64 if array.dtype == np.int32 else array for name, array in shared(talks(2, seed=0), 120).items()}
    gradients = jax.jit(jax.grad(lambda model, batch: next_token(model, batch)[0]))
    other = np.where(batch["weights"] > 0, batch["targets"], (batch["targets"] + 7) % 64)
    one, same = gradients(model, batch), gradients(model, {**batch, "targets": other})
    jax.tree.map(np.testing.assert_array_equal, one, same)
    changed = gradients(model, {**batch, "targets": (batch["targets"] + 7) % 64})
    assert not np.allclose(one.tokens.table, changed.tokens.table)


def test_pairs_differ_in_the_last_answer():
    talk = talks(1, seed=0)[0]
    pairs = preferences([talk], 120)
    for prefix, answer in (("", talk.kind), ("rejected_", talk.curt)):
        weighed = pairs[f"{prefix}targets"][0][pairs[f"{prefix}weights"][0] > 0]
        assert read([int(token) for token in weighed]) == f"{answer} <end>"
        assert (pairs[f"{prefix}tokens"][0][: len(talk.prompt)] == talk.prompt).all()
    assert MANNERS.keys() == {"kind", "curt"} and IDS["<pad>"] == 0


@pytest.mark.slow
def test_preferences_are_weighed_against_the_reference():
    model = Preference(sharp(SPECS["llama"], 1), sharp(SPECS["llama"], 2))
    batch: Any = {f"{prefix}{name}": RANDOM.integers(0, 64, (3, 8)) for prefix in ("", "rejected_") for name in ("tokens", "targets")}
    batch |= {f"{prefix}weights": (RANDOM.random((3, 8)) < 0.5).astype(np.float32) for prefix in ("", "rejected_")}
    batch["weights"][2] = batch["rejected_weights"][2] = 0  # a blank row

    def said(decoder, prefix):
        logs = jax.nn.log_softmax(decoder(batch[f"{prefix}tokens"]))
        return (np.take_along_axis(np.asarray(logs), batch[f"{prefix}targets"][..., None], -1)[..., 0] * batch[f"{prefix}weights"]).sum(1)

    margin = (said(model.policy, "") - said(model.reference, "")) - (said(model.policy, "rejected_") - said(model.reference, "rejected_"))
    total, rows, metrics = direct_preference(model, batch, strength=0.3)
    np.testing.assert_allclose(total, np.log1p(np.exp(-0.3 * margin[:2])).sum(), rtol=1e-4)
    assert rows == 2 and metrics["preferred"][0] == (margin[:2] > 0).sum()
    gradients = jax.grad(lambda model: direct_preference(model, batch)[0])(model)
    assert float(jnp.abs(gradients.policy.tokens.table).max()) > 0 and not jnp.any(gradients.reference.tokens.table)


@pytest.mark.slow
def test_a_text_is_classified_at_its_end_and_spoken_by_half():
    model = Classifier(sharp(SPECS["gpt2"]), sharp(Linear.of(Size(embed=32, heads=4), "embed -> 2", bias=True)))
    tokens, targets = RANDOM.integers(1, 64, (2, 4, 10))
    weights = (np.arange(10) < np.array([[10], [6], [3], [0]])).astype(np.float32)
    batch: Any = {"tokens": tokens, "targets": targets, "weights": weights, "label": np.array([0, 1, 1, 0])}
    hidden = model.decoder.hidden(tokens)
    logs = jax.nn.log_softmax(hidden[np.arange(3), [9, 5, 2]] @ model.head.kernel + jnp.asarray(model.head.bias)[None])
    words = jax.nn.log_softmax(model.decoder(tokens))
    spoken = -(np.take_along_axis(np.asarray(words), targets[..., None], -1)[..., 0] * weights).sum(1)[:3] / weights.sum(1)[:3]
    for share in (0.0, 0.5):
        total, rows, metrics = classified_and_next(model, batch, language=share)
        np.testing.assert_allclose(total / rows, -logs[np.arange(3), [0, 1, 1]].mean() + share * spoken.mean(), rtol=1e-4)
        parts = [classified_and_next(model, {name: value[rows] for name, value in batch.items()}, language=share)[0] for rows in ([0, 3], [1, 2])]
        np.testing.assert_allclose(sum(parts), total, rtol=1e-5)
    assert rows == 3 and metrics["accuracy"] == (float((logs.argmax(-1) == np.array([0, 1, 1])).sum()), 3.0)


@pytest.fixture(scope="module")
def sentences():
    words: Any = RANDOM.integers(1, 64, (4, 5, 6)) * (np.arange(6) < RANDOM.integers(2, 7, (4, 5, 1)))
    return sharp(Sentences.of(Size(64, 2, 32, 4, 4, 48))), words


@pytest.mark.slow
def test_a_sentence_is_itself_whatever_fills_it_up_or_stands_beside_it(sentences):
    model, words = sentences
    vectors = model.vectors(words)
    np.testing.assert_allclose(model.vectors(np.pad(words, ((0, 0), (0, 0), (0, 3)))), vectors, atol=1e-5)
    np.testing.assert_allclose(model.vectors(words[2:3, 1:2])[0, 0], vectors[2, 1], atol=1e-5)
    np.testing.assert_allclose(jnp.square(vectors).sum(-1), np.ones((4, 5)), rtol=1e-4)


@pytest.mark.slow
def test_what_is_expected_hangs_on_no_later_sentence(sentences):
    model, words = sentences
    slopes = jax.jacrev(lambda vectors: model.next(vectors).sum((0, 2)))(model.vectors(words))
    strength = np.abs(slopes).max((1, 3))
    assert (strength[~np.tril(np.ones((5, 5), bool))] == 0).all() and (strength[np.tril(np.ones((5, 5), bool))] > 1e-6).all()


@pytest.mark.slow
def test_the_next_sentence_is_picked_among_those_of_all_rows(sentences):
    model, words = sentences
    blank: Any = np.concatenate([words, np.zeros_like(words[:1])])
    (total, weight, metrics), (same, *_) = next_vector(model, {"sentences": words}), next_vector(model, {"sentences": blank})
    vectors = np.asarray(model.vectors(words))
    expected = np.asarray(model.next(vectors[:, :-1]))
    nats, right = 0.0, 0
    for row in range(4):
        for at in range(4):
            scores = np.array([expected[row, at] @ vectors[other, at + 1] for other in range(4)]) / 0.05
            nats += np.log(np.exp(scores - scores[row]).sum())
            right += scores.argmax() == row
    np.testing.assert_allclose(total, nats, rtol=1e-3)
    np.testing.assert_allclose(same, total, rtol=1e-5)
    assert weight == 16 and metrics["top_1"] == (right, 16)
