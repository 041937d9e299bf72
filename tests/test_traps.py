"""A trap for greedy search, and what is measured of texts: against counting by hand and all texts there are."""
import itertools

import numpy as np
import pytest
from tiny import SPECS, sharp

from transformer.data.made import traps
from transformer.decoding import Beams, generate
from transformer.shows.strategies import compared, distinct, likelihood


def test_the_likeliest_first_token_leads_to_no_likely_text():
    assert sum(traps.WAYS.values()) == pytest.approx(1)
    first = {token: sum(chance for way, chance in traps.WAYS.items() if way[0] == token) for token, _ in traps.WAYS}
    greedy, best = max(first, key=first.__getitem__), max(traps.WAYS, key=traps.WAYS.__getitem__)
    assert greedy == traps.BROAD and best == (traps.NARROW, traps.LAST)
    assert max(chance for way, chance in traps.WAYS.items() if way[0] == greedy) < traps.WAYS[best] / 8


def test_rows_come_as_often_as_told_and_no_digits_on_both_sides():
    learned, unseen = traps.traps(4000, seed=0), traps.traps(500, seed=1, held_out=True)
    assert learned.shape == (4000, traps.BEFORE + 4) and unseen.shape == (500, traps.BEFORE + 4) and learned.max() < traps.TOKENS
    ways = [tuple(way) for way in learned[:, -3:-1].tolist()]
    for way, chance in traps.WAYS.items():
        assert ways.count(way) / 4000 == pytest.approx(chance, abs=0.03)
    assert not {tuple(row[: traps.BEFORE]) for row in learned} & {tuple(row[: traps.BEFORE]) for row in unseen}


def test_distinct_pairs_are_counted_over_all_texts():
    assert distinct([[1, 2, 3], [1, 2, 4]], 2) == 3 / 4 and distinct([[1], [1]], 1) == 0.5 and distinct([[1]], 2) == 0


@pytest.mark.slow
def test_the_best_of_enough_beams_is_the_best_of_all_texts():
    model, prompt = sharp(SPECS["gpt2"]), [3, 5]
    everything = [list(two) for two in itertools.product(range(64), repeat=2)]
    scores = likelihood(model, prompt, everything)
    assert np.exp(scores).sum() == pytest.approx(1, abs=1e-3)
    best = generate(model, [prompt], most=2, strategy=Beams(64, length_penalty=0.0))
    assert best.texts()[0][0] == everything[int(scores.argmax())] and best.scores[0, 0] == pytest.approx(scores.max(), abs=1e-3)


@pytest.mark.slow
def test_texts_of_unequal_length_are_scored_alone():
    model = sharp(SPECS["gpt2"])
    texts = [[4, 9], [7, 1, 2, 8]]
    assert likelihood(model, [3], texts) == pytest.approx([likelihood(model, [3], [text])[0] for text in texts], abs=1e-3)
    found = compared(model, [3], {"beams": Beams(2)}, most=4, ends=2, good=lambda text: len(text) > 9)
    assert found["beams"]["good"] == 0 and found["beams"]["nats"] > 0
