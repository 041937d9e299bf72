"""The exact optimum of span corruption against all that could have been cut out; tasks and their answers."""
from itertools import product

import numpy as np
import pytest

from transformer.data import tokenizers
from transformer.data.corruption import span_corruption, uncorrupted
from transformer.data.made import spans
from transformer.data.made.markov import Markov

SOURCE = Markov.drawn(3, 1, 0.8, seed=0)


def probability(text):
    start = SOURCE.stationary[text[0]]
    return start * np.prod([SOURCE.table[a, b] for a, b in zip(text, text[1:], strict=False)])


@pytest.mark.parametrize("shape", ["k n", "kk nn", "k nn k n", "kk n kkk nn", "k n k nn k n"])
def test_the_optimum_is_the_sum_over_everything_that_could_have_been_cut_out(shape):
    parts = shape.split()
    is_noise = np.asarray([letter == "n" for letter in "".join(parts)])
    text = SOURCE.sample(1, len(is_noise), seed=1)[0]
    kept = [text[end - len(part):end] for part, end in zip(parts, np.cumsum([len(p) for p in parts]), strict=True)][::2]
    total, count = int(is_noise.sum()), len(kept)
    everything = 0.0
    for cuts in product(range(1, total + 1), repeat=count):
        if sum(cuts) == total:
            for tokens in product(range(3), repeat=total):
                rest, whole = list(tokens), []
                for segment, cut in zip(kept, cuts, strict=True):
                    whole += [*segment, *rest[:cut]]
                    rest = rest[cut:]
                everything += probability(whole)
    assert spans.optimum(SOURCE, text[None], is_noise[None]) == pytest.approx(-np.log(probability(text) / everything))


def test_every_task_has_its_one_answer_and_none_is_asked_twice():
    source = Markov.drawn(24, 1, 0.1, seed=0)
    unseen = spans.tasks(source, 60, 12, seed=2)
    learned = spans.tasks(source, 600, 12, seed=1, but=frozenset(one.source for one in unseen))
    assert len({one.source for one in learned}) == 600 and not {one.source for one in learned} & {one.source for one in unseen}
    assert {kind: sum(one.kind == kind for one in learned) for kind in spans.TASKS} == dict.fromkeys(spans.TASKS, 200)
    names = spans.words(24)
    for one in learned[:90]:
        kind, _, *asked = one.source.split()
        assert kind == one.kind and len(asked) == 12 + (kind == "next")
        if kind == "next":
            assert f"{spans.GAP} {names[source.table[names.index(asked[-2])].argmax()]}" == one.target
        if kind == "odd":
            place = asked.index(one.target)
            before, here, after = (names.index(word) for word in asked[place - 1:place + 2])
            assert source.table[before, here] * source.table[here, after] < 1e-3


def test_what_was_corrupted_can_be_put_together_again():
    tokenizer = tokenizers.spaced(spans.words(24), sentinels=8)
    ids = tokenizer(" ".join(spans.words(24) * 20))
    for row in span_corruption(ids, tokenizer, 40).seed(3):
        tokens, is_noise = uncorrupted(row, tokenizer)
        assert (np.diff(tokens) % 24 == 1).all() and is_noise.sum() == np.sum(row["labels"] < 5 + 24) - 1
        assert (tokens[~is_noise] == row["source"][row["source"] >= 5][: (~is_noise).sum()]).any()


def test_the_best_is_the_optimum_per_label():
    source = Markov.drawn(5, 1, 0.5, seed=0)
    tokenizer = spans.tokenizer(5)
    ids = spans.text(source, 200, 1, tokenizer)
    assert tokenizer.decode(ids[:3]).split() == [spans.words(5)[symbol] for symbol in source.sample(1, 200, 1)[0][:3]]
    test = span_corruption(ids, tokenizer, 20).seed(0)
    rows = [uncorrupted(test[row], tokenizer) for row in range(len(test))]
    nats = [spans.optimum(source, tokens[None] - tokenizer("s00")[0], noise[None]) for tokens, noise in rows]
    assert spans.best(source, test, tokenizer) == pytest.approx(np.mean(nats) / len(test[0]["labels"]))
