"""Sound as Whisper hears it: equal to what another implementation recorded, and to a loop that spells the formulas out."""
from pathlib import Path

import numpy as np
import pytest

from transformer.data.sound import HOP, RATE, WINDOW, log_mel, mel_filters
from transformer.mistakes import Mistake

RECORDED = np.load(Path(__file__).parent / "reference" / "mel.npz")
TONE, NOISE = (RECORDED[name].astype(np.float32) / 2**15 for name in ("tone", "noise"))


def test_features_are_those_that_others_found():
    """By transformers' WhisperFeatureExtractor: a wave that is cut, and one that silence is added to."""
    frames, present = log_mel([TONE, NOISE], seconds=1)
    assert frames.shape == (2, 100, 80) and frames.dtype == np.float32
    want = RECORDED["bands"].swapaxes(1, 2)
    assert np.abs(frames - want).max() <= 5e-5 * np.abs(want).max()
    assert present[0].all() and present[1].tolist() == [True] * 25 + [False] * 75
    want = RECORDED["more_bands"].swapaxes(1, 2)
    assert np.abs(log_mel([NOISE], seconds=1, mels=128)[0] - want).max() <= 5e-5 * np.abs(want).max()


def test_features_are_the_formulas_spelled_out():
    """A Fourier sum for every window and frequency, a triangle for every band, in 64 bits."""
    mirrored = np.pad(NOISE.astype(np.float64), WINDOW // 2, mode="reflect")
    filters, at = mel_filters(80), np.arange(WINDOW)
    frames = range(3, 20, 4)
    loud = np.empty((len(frames), 80))
    for row, frame in enumerate(frames):
        window = mirrored[frame * HOP:frame * HOP + WINDOW] * np.sin(np.pi * at / WINDOW) ** 2
        power = np.array([np.sum(window * np.cos(2 * np.pi * n * at / WINDOW)) ** 2
                          + np.sum(window * np.sin(2 * np.pi * n * at / WINDOW)) ** 2 for n in range(WINDOW // 2 + 1)])
        loud[row] = [np.log10(sum(power * filters[:, band])) for band in range(80)]
    np.testing.assert_allclose(log_mel([NOISE], seconds=1)[0][0][list(frames)], (loud + 4) / 4, rtol=1e-6, atol=1e-6)


def test_bands_are_triangles_of_equal_areas_one_beside_the_other():
    filters = mel_filters(80, window=16_000)  # a frequency every Hertz
    areas = filters.sum(0)
    np.testing.assert_allclose(areas, 1.0, rtol=2e-3)
    peaks = filters.argmax(0)
    assert (np.diff(peaks) > 0).all() and (filters[peaks[3], 5:] == 0).all()
    steps = np.diff(peaks[peaks < 1000])
    assert steps.max() - steps.min() <= 1  # so many Hertz each up to a thousand, and wider ones above
    assert (np.diff(np.log(peaks[peaks > 1200])).std() < 2e-3)


def test_the_quietest_is_eight_powers_of_ten_below_the_loudest():
    frames, _ = log_mel([np.r_[TONE[:4000], np.zeros(4000, np.float32)]], seconds=1)
    assert frames.max() - frames.min() == pytest.approx(2.0, abs=1e-6)
    assert (log_mel([np.zeros(9, np.float32)], seconds=1)[0] == -1.5).all()


def test_a_wave_has_one_channel():
    with pytest.raises(Mistake, match=rf"has the shape \(2, 50\); give one channel, as \[samples\] at {RATE} Hz"):
        log_mel([np.zeros((2, 50), np.float32)])
