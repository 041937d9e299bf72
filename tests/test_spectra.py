"""Samples and spectrograms go there and come back."""
import numpy as np
import pytest

from transformer.data.spectra import Frames, companded, expanded

TIME = np.arange(8000) / 8000
CHORD = (0.5 * np.sin(2 * np.pi * 440 * TIME) + 0.3 * np.sin(2 * np.pi * 660 * TIME)) * np.exp(-2 * TIME)


@pytest.mark.parametrize("levels", [64, 256])
def test_every_level_comes_back(levels):
    every = np.arange(levels)
    assert (companded(expanded(every, levels), levels) == every).all()
    assert companded(np.asarray([-2.0, -1.0, 1.0, 2.0]), levels).tolist() == [0, 0, levels - 1, levels - 1]


def test_companding_is_finest_near_silence():
    steps = np.diff(expanded(np.arange(256)))
    assert (steps > 0).all() and steps[127] < 0.001 < 0.04 < steps[-1]
    # F(x) = ln(1 + 255 |x|) / ln 256, as G.711 has it: half of the scale is used up at 1/17.
    assert companded(np.asarray([15 / 255]))[0] == 191


def test_a_transform_is_undone():
    frames = Frames()
    again = frames.inverse(frames.transform(CHORD))
    np.testing.assert_allclose(again, CHORD[:len(again)], atol=1e-9)
    assert len(again) == 8000 and np.abs(frames.transform(CHORD))[20].argmax() == round(440 / 8000 * 256)


def test_sound_comes_back_from_its_frames():
    frames = Frames(mels=80)
    seen = frames.of(CHORD)
    again = frames.of(frames.sound(seen))
    loud = seen > seen.max() - 6
    assert seen.shape == (126, 80) and np.abs(again - seen[:len(again)])[loud].mean() < 0.4
    true = np.abs(frames.transform(CHORD))
    guessed = np.abs(frames.transform(frames.phased(true)))
    assert ((guessed - true) ** 2).sum() < 0.005 * (true**2).sum()
