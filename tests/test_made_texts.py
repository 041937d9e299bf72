"""Made texts of encoders: errands, senses, misspelt letters; and the encoder of encoders that reads the last."""
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.data import tokenizers
from transformer.data.examples import examples
from transformer.data.made import errands, letters, senses
from transformer.data.made.markov import Markov, masked_optimum, masked_posterior
from transformer.data.masking import fixed, full_sentences, masked, sentence_pairs
from transformer.models.hierarchical import Nested, Size
from transformer.weights import initialise


def test_stories_keep_their_order_and_their_side():
    learned, held = errands.stories(400, 0), errands.stories(100, 1, held_out=True)

    def pairs(some):
        found = set()
        for story in some:
            parts = story.rstrip(".").split(". ")
            person = next(name for name in errands.PEOPLE if name in parts[0])
            own = next(errand for errand in errands.ERRANDS if all(any(part.endswith(step) for step in errand.split(", ")) for part in parts))
            steps = [next(i for i, step in enumerate(own.split(", ")) if part.endswith(step)) for part in parts]
            assert steps == sorted(steps) and len(steps) >= 3
            found.add((person, own))
        return found

    assert not pairs(learned) & pairs(held)


def test_swapped_pairs_are_the_same_two_in_the_other_order():
    texts = [f"{word} one. {word} two. {word} three." for word in ("red", "blue")]
    tokenizer = tokenizers.word_pieces(texts, 256)
    swapped = sentence_pairs(texts, tokenizer, 24, swapped=1.0).seed(0).repeat(20)
    order = {name: place for place, name in enumerate(("one", "two", "three"))}
    verdicts = set()
    for at in range(len(swapped)):
        words = tokenizer.decode(swapped[at]["tokens"]).replace(".", "").split()
        told = [order[word] for word in words if word in order]
        assert len({word for word in words if word in ("red", "blue")}) == 1 and set(told) == {0, 1, 2}
        assert (told == [0, 1, 2]) == bool(swapped[at]["follows"])
        verdicts.add(int(swapped[at]["follows"]))
    assert verdicts == {0, 1}


def test_full_sentences_lose_nothing_and_masks_are_fixed_or_new():
    texts = ["one two three four five six seven", "eight nine ten"]
    tokenizer = tokenizers.word_pieces(texts, 64)
    rows = full_sentences(texts, tokenizer, 6)
    assert [rows[at]["tokens"][1:-1].tolist() for at in range(len(rows))] == tokenizer(texts)[: 4 * len(rows)].reshape(-1, 4).tolist()
    assert all(rows[at]["tokens"][0] == tokenizer.start and rows[at]["tokens"][-1] == tokenizer.end for at in range(len(rows)))
    twice = [[data[at]["masked"].tolist() for at in range(2 * len(rows))] for data in (
        masked(rows, tokenizer, 0.5).seed(0).repeat(2), fixed(masked(rows, tokenizer, 0.5)).seed(0).repeat(2))]
    assert twice[0][: len(rows)] != twice[0][len(rows) :] and twice[1][: len(rows)] == twice[1][len(rows) :]


def test_the_optimum_under_masks_is_that_of_all_possible_texts():
    source, first, rate = Markov.drawn(3, 1, 0.5, 0), 5, 0.15
    tokens, places = np.array([[5, 4, 7, 6, 4]]), np.array([[1, 2]])  # 4 is the mask; the second choice is visible
    data = examples(tokens=tokens, masked=places, labels=np.array([[6, 7]]), weights=np.ones((1, 2), np.float32))
    chances = masked_posterior(source, data, first, rate)[0]

    def seen(place, truth):
        token = tokens[0, place]
        return 1.0 if token == 4 else (1 - 0.9 * rate) * (token - first == truth) + 0.1 * rate / 3

    for slot, at in enumerate(places[0]):
        want = np.zeros(3)
        for text in itertools.product(range(3), repeat=5):
            chance = source.stationary[text[0]] * np.prod([source.table[a, b] for a, b in itertools.pairwise(text)])
            own = 1.0 if tokens[0, at] == 4 else 0.5 * (tokens[0, at] - first == text[at]) + 0.5 / 3
            want[text[at]] += chance * own * np.prod([seen(place, text[place]) for place in range(5) if place != at])
        np.testing.assert_allclose(chances[slot], want / want.sum(), rtol=1e-6)
    left = masked_posterior(source, data, first, rate, after=False)[0]
    assert not np.allclose(left, chances)
    np.testing.assert_allclose(masked_optimum(source, data, first), -np.log([chances[0, 1], chances[1, 2]]).mean(), rtol=1e-6)


def test_senses_are_told_by_one_side_and_held_out_by_text():
    learned, held = senses.senses(400, 0), senses.senses(100, 1, held_out=True)
    assert not {one.text for one in learned} & {one.text for one in held}
    for one in learned:
        cues = senses.FIELDS[senses.SENSES[one.word][one.second]].split()
        words = one.text.replace(".", "").split()
        at = [place for place, word in enumerate(words) if word in cues]
        assert len(at) == 2 and (max(at) < words.index(one.word) or min(at) > words.index(one.word))


def test_letters_are_about_what_two_sentences_say():
    some = letters.letters(200, 0, misspelt=0.0)
    for one in some:
        about = [next(topic for topic, words in letters.TOPICS.items() if set(sentence) & set(words.split())) for sentence in one.sentences]
        assert about.count(one.topic) == 2 and len(set(about)) == 3
    wrong = letters.letters(200, 0, misspelt=1.0)
    known = {word for words in letters.TOPICS.values() for word in words.split()}
    spelt = [word in known for one in wrong for sentence in one.sentences for word in sentence]
    assert np.mean(spelt) < 0.05  # but for a letter mistyped as itself
    assert {one.sentences for one in letters.letters(500, 0)}.isdisjoint(one.sentences for one in letters.letters(500, 1))


def test_letters_nested_flat_and_whole_are_the_same_text():
    one = letters.Letter((("ab", "c"), ("d",)), "music")
    assert letters.nested([one], 2, 2, 3).tolist() == [[[[1, 2, 0], [3, 0, 0]], [[4, 0, 0], [0, 0, 0]]]]
    assert letters.flat([one], 8).tolist() == [[1, 2, 27, 3, 27, 28, 4, 27]]
    assert letters.wholes([one], {"ab": 2, "d": 3}, 4).tolist() == [[2, 1, 3, 0]]


@pytest.mark.slow
def test_nested_encoders_see_no_more_than_there_is():
    size = Size(9, (4, 3, 2), 5, embed=8, heads=2, mlp=8)
    model = initialise(Nested.of(size), jax.random.key(0))
    random = np.random.default_rng(0)
    tokens = random.integers(1, 9, (2, 2, 3, 4))
    present = np.ones(tokens.shape, bool)
    present[0, 1], present[0, 0, 2], present[1, 0, 0, 2:] = False, False, False
    logits = jax.jit(lambda tokens: model(tokens, present=jnp.asarray(present)))(tokens)
    other = np.where(present, tokens, random.integers(1, 9, tokens.shape))
    np.testing.assert_allclose(logits, jax.jit(lambda tokens: model(tokens, present=jnp.asarray(present)))(other), atol=1e-6)
    changed = tokens.copy()
    changed[1, 0, 0, 0] = tokens[1, 0, 0, 0] % 8 + 1
    assert not np.allclose(logits[1], jax.jit(lambda tokens: model(tokens, present=jnp.asarray(present)))(changed)[1])
    alone = model(jnp.asarray(tokens[1:]), present=jnp.asarray(present[1:]))
    np.testing.assert_allclose(logits[1:], alone, atol=1e-5)
    assert size.products == 2 * 3 * 16 + 2 * 9 + 4
