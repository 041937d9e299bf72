"""Whispered vowels: the chances of what comes next are exact, and each vowel rings where it should."""
import numpy as np
import pytest

from transformer.data.made.resonances import Resonances
from transformer.data.spectra import companded, expanded

SOURCE = Resonances.of(levels=16)
VOICES = np.repeat(np.arange(4), 16)[:, None].repeat(40, 1)


def test_the_chances_of_all_levels_add_up_to_one():
    levels = SOURCE.sample(VOICES, seed=0)
    every = np.tile(levels[:1], (16, 1))
    every[:, 20] = np.arange(16)
    nats = SOURCE.nats(every, VOICES[:16])
    assert np.exp(-nats[:, 20]).sum() == pytest.approx(1.0, abs=1e-12)
    assert (nats[:, :20] == nats[:1, :20]).all() and (np.ptp(nats[:, 21], 0) > 0).all()


def test_the_chances_are_how_often_a_level_comes():
    past, voices = SOURCE.sample(VOICES[20:21, :9], seed=1), np.full((16, 10), 1)
    nats = SOURCE.nats(np.concatenate([np.repeat(past, 16, 0), np.arange(16)[:, None]], 1), voices)[:, 9]
    expected = expanded(past[0, :-5:-1], 16) @ SOURCE.past[1]
    heard = expected + SOURCE.deviation[1] * np.random.default_rng(3).normal(size=100_000)
    nearest = (companded(heard, 16)[:, None] == np.arange(16)).mean(0)
    np.testing.assert_allclose(np.exp(-nats), nearest, atol=0.01)


def test_what_is_all_but_impossible_is_still_told_apart():
    """On both sides alike, where one minus a chance has no digits left."""
    low, high = (SOURCE.nats(np.asarray([[level]], np.int32), np.asarray([[3]]))[0, 0] for level in (0, 15))
    assert low == pytest.approx(high) and 100 < low < 690


def test_each_vowel_sounds_as_its_resonances_do():
    source = Resonances.of(levels=256)
    levels = source.sample(np.repeat(np.arange(4), 8)[:, None].repeat(2048, 1), seed=4)
    power = (np.abs(np.fft.rfft(expanded(levels, 256))) ** 2).reshape(4, 8, -1).mean(1)[:, 1:].reshape(4, 64, 16).mean(-1)
    turning = np.exp(-2j * np.pi * np.outer((np.arange(64) + 0.5) / 128, np.arange(1, source.order + 1)))
    for past, own in zip(source.past, power, strict=True):
        true = -2 * np.log(np.abs(1 - turning @ past))
        assert np.corrcoef(true, np.log(own))[0, 1] > 0.97
