"""Word vectors: the pairs they learn from, their losses, what they are asked."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import losses
from transformer.data.made import creatures
from transformer.data.neighbours import bags, counted, counts_of_pairs, noise, skip_grams
from transformer.models.word_vectors import Glove, Size, Word2Vec
from transformer.shows.vectors import geometry, solved
from transformer.weights import initialise

IDS = np.arange(1, 41, dtype=np.int32) % 7


def test_skip_grams_guess_what_stands_around():
    one = skip_grams(IDS, 7, 10, window=2, negatives=3).seed(0)[1]
    assert one["given"][:, 0].tolist() == IDS[10:20].tolist()
    for at in range(10):
        assert one["guess"][at].tolist() == [IDS[10 + at + step] for step in (-2, -1, 1, 2)]
    assert one["others"].shape == (10, 4, 3) and set(map(tuple, one["weights"])) == {(1, 1, 1, 1), (0, 1, 1, 0)}
    first = skip_grams(IDS, 7, 10, window=2, negatives=3).seed(0)[0]
    assert not first["weights"][0, :2].any()  # nothing stands before the first word


def test_bags_are_skip_grams_the_other_way_round():
    grams, other = skip_grams(IDS, 7, 10, 2, 3).seed(0)[2], bags(IDS, 7, 10, 2, 3).seed(0)[2]
    assert (other["given"] == grams["guess"]).all() and (other["there"] == grams["weights"]).all()
    assert (other["guess"] == grams["given"]).all() and other["weights"].all()


def test_seldom_words_are_drawn_oftener_than_they_occur():
    ids = np.repeat([0, 1], [16, 1])
    np.testing.assert_allclose(noise(ids, 3, 0.75), [8 / 9, 1 / 9, 0])
    drawn = np.concatenate([skip_grams(np.tile(ids, 9), 2, 16, 2, 5).seed(0)[at]["others"].ravel() for at in range(9)])
    assert abs(drawn.mean() - noise(np.tile(ids, 9), 2, 0.75)[1]) < 0.03


def test_words_are_counted_by_distance():
    table = counted(np.array([0, 1, 2, 0]), 3, np.array([1.0, 0.5]))
    assert table.tolist() == [[0, 1.5, 1.5], [1.5, 0, 1], [1.5, 1, 0]]
    learned, held, away = counts_of_pairs(table, 0.4)
    pairs = [{tuple(data[at]["tokens"].tolist()) for at in range(len(data))} for data in (learned, held)]
    assert not pairs[0] & pairs[1] and len(pairs[0] | pairs[1]) == 6 and all(away[pair] for pair in pairs[1])


@pytest.mark.slow
def test_negative_sampling_and_log_counts_are_as_in_the_papers():
    random = np.random.default_rng(0)
    model = initialise(Word2Vec.of(Size(7, 5)), jax.random.key(0))
    model = jax.tree.map(lambda x: jnp.asarray(random.normal(size=x.shape), jnp.float32), model)
    one = bags(IDS, 7, 10, 2, 3).seed(0)[1]
    total, weight, _ = losses.negative_sampling(model, {name: x[None] for name, x in one.items()})
    words, neighbours, want = np.asarray(model.words.table, float), np.asarray(model.neighbours.table, float), 0.0
    for at in range(10):
        given = words[one["given"][at][one["there"][at] > 0]].mean(0)
        want += np.log1p(np.exp(-given @ neighbours[one["guess"][at, 0]]))
        want += sum(np.log1p(np.exp(given @ neighbours[other])) for other in one["others"][at, 0])
    np.testing.assert_allclose(total, want, rtol=1e-4)
    assert weight == 10

    glove = jax.tree.map(lambda x: jnp.asarray(random.normal(size=x.shape), jnp.float32), initialise(Glove.of(Size(7, 5)), jax.random.key(0)))
    pairs, count = np.array([[0, 1], [2, 6], [0, 0]]), np.array([5.0, 400.0, 0.0], np.float32)
    total, weight, _ = losses.log_counts(glove, {"tokens": pairs, "count": count})
    want, trust = 0.0, (5 / 100) ** 0.75 + 1
    for (word, other), times in zip(pairs[:2], count[:2], strict=True):
        guess = glove.words.table[word] @ glove.neighbours.table[other] + glove.word_bias[word] + glove.neighbour_bias[other]
        want += min(times / 100, 1) ** 0.75 * (guess - np.log(times)) ** 2
    np.testing.assert_allclose([total, weight], [want, trust], rtol=1e-4)  # the last row fills the batch


def test_geometry_is_that_of_the_vectors():
    words = ["a", "A", "b", "B", "x"]

    class Table:
        def vectors(self):
            return np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [-1, -1, 0.1]], float)

    assert solved(Table().vectors(), words, [("a", "A", "b", "B"), ("B", "b", "A", "a")]) == ["B", "a"]
    found = geometry(words, np.array([0, 0, 0, 0, -1]), [("a", "A", "b", "B")], ("a", "A"))(Table(), {})
    assert found["analogies"] == 1.0 and found["alike"] == 1.0


def test_creatures_keep_their_company():
    ids = creatures.creatures(20_000, 0)
    text = [creatures.WORDS[number] for number in ids]
    assert len(set(creatures.WORDS)) == len(creatures.WORDS) and len(creatures.kinds()) == len(creatures.WORDS)
    sentences = " ".join(text).split(" <end>")
    assert not any("king" in sentence.split() and "her" in sentence.split() for sentence in sentences)
    young, old = (sum(f"{age} {animal} " in sentence for sentence in sentences for age in creatures.AGES[1]) for animal in ("kitten", "cat"))
    assert young > 2 * old > 0
