"""Markov sources: every number in closed form is what counting all sequences gives."""
import itertools

import numpy as np
import pytest

from transformer.data.made.markov import Markov

SOURCES = {order: Markov.drawn(3, order, evenness=1.0, seed=order) for order in (1, 2)}


def likelihood(source, row):
    """The probability of a row, from its first history on."""
    chance = source.stationary[tuple(row[:source.order])]
    for at in range(source.order, len(row)):
        chance *= source.table[tuple(row[at - source.order:at + 1])]
    return chance


@pytest.mark.parametrize("order", SOURCES)
def test_histories_go_over_into_each_other(order):
    source = SOURCES[order]
    after = (source.stationary[..., None] * source.table).sum(axis=0)
    np.testing.assert_allclose(after, source.stationary, atol=1e-12)
    assert source.stationary.sum() == pytest.approx(1)


@pytest.mark.parametrize("order", SOURCES)
def test_surprise_is_that_of_all_sequences(order):
    source = SOURCES[order]
    rows = np.array(list(itertools.product(range(3), repeat=5)))
    chances = np.array([likelihood(source, row) for row in rows])
    np.testing.assert_allclose(np.exp(-source.surprise(rows).sum(1)), chances, atol=1e-12)
    # Chain rule: what a sequence grows by, when it is one longer, is the entropy.
    assert chances @ source.surprise(rows)[:, -1] == pytest.approx(source.entropy)


@pytest.mark.parametrize("order", SOURCES)
def test_samples_come_as_often_as_they_should(order):
    source = SOURCES[order]
    rows = source.sample(20000, 6, seed=0)
    assert source.surprise(rows)[:, order:].mean() == pytest.approx(source.entropy, abs=0.01)
    counted = np.bincount(rows[:, -2] * 3 + rows[:, -1], minlength=9) / len(rows)
    pairs = source.stationary[:, None] * source.table if order == 1 else source.stationary
    np.testing.assert_allclose(counted, pairs.ravel(), atol=0.015)
    assert (rows == source.sample(20000, 6, seed=0)).all() and (rows != source.sample(20000, 6, seed=1)).any()


def test_beliefs_of_noisy_sights_are_those_of_all_sequences():
    source = SOURCES[1]
    everything = np.array(list(itertools.product(range(3), repeat=4)))
    chances = np.array([likelihood(source, row) for row in everything])
    evidence = np.random.default_rng(0).random((1, 4, 3))
    left, right = source.beliefs(evidence)
    for place in range(4):
        seen = np.array([np.prod([evidence[0, at, row[at]] for at in range(4) if at != place]) for row in everything])
        expected = np.bincount(everything[:, place], chances * seen, minlength=3)
        both = left[0, place] * right[0, place]
        np.testing.assert_allclose(both / both.sum(), expected / expected.sum(), atol=1e-12)
