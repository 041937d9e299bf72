"""Described music: what is asked for is heard, and the codes of a piece tell all of its notes."""
import numpy as np
import pytest

from transformer.data import waves
from transformer.data.codes import Residual
from transformer.data.made import jingles as made
from transformer.data.made.jingles import FRAMES, LENGTH, TEMPI, heard, jingles
from transformer.mistakes import Mistake

FOUND, TAGS, NATS = jingles(300, seed=0)


def test_what_is_asked_for_is_heard():
    assert (np.asarray([heard(piece) for piece in FOUND]) == TAGS).all(-1).mean() > 0.98
    assert FOUND.shape == (300, LENGTH, FRAMES.mels)
    assert heard(np.zeros((LENGTH, FRAMES.mels)))[0] == len(TEMPI) - 1  # of silence nothing is asked


def test_the_surprise_is_that_of_the_notes():
    """On average the entropy of as many notes as there are."""
    touch = -sum(chance * np.log(chance) for chance in made.CHANCES)
    for tempo, frames in enumerate(TEMPI.values()):
        own = NATS[TAGS[:, 0] == tempo] / (LENGTH // frames)
        assert own.mean() == pytest.approx(made.NEXT.entropy + touch, abs=0.08)


def test_codes_tell_every_note():
    """So that they are exactly as uncertain as the notes: after each onset there is a frame of one note alone."""
    codes = Residual.fitted(FOUND.reshape(-1, FRAMES.mels)[:8000], 64, 2).encode(FOUND)
    random = np.random.default_rng(0)
    random.integers(3, size=(2, 300))
    notes, soft = made.NEXT.sample(300, LENGTH // 2, 0), random.random((300, LENGTH // 2)) < made.CHANCES[1]
    told: dict[tuple, set] = {}
    for (tempo, register), code, row, how in zip(TAGS, codes, notes, soft, strict=True):
        frames = list(TEMPI.values())[tempo]
        for at in range(LENGTH // frames):
            told.setdefault((tempo, register, *code[at * frames + 1]), set()).add((row[at], how[at]))
    assert len(told) == 3 * 3 * 5 * 2 and all(len(said) == 1 for said in told.values())


def test_folders_describe_what_is_in_them(tmp_path):
    for name in ("calm", "wild"):
        (tmp_path / name).mkdir()
        waves.write(tmp_path / name / "a.wav", 0.1 * np.sin(np.arange(6 * LENGTH * FRAMES.hop)), FRAMES.rate)
    waves.write(tmp_path / "wild" / "short.wav", np.zeros(100), FRAMES.rate)
    (learned, known), (held, asked), names = waves.described(tmp_path, FRAMES, LENGTH)
    assert names == ["calm", "wild"] and learned.shape == (10, LENGTH, FRAMES.mels)
    assert known.ravel().tolist() == [0] * 5 + [1] * 5 and asked.tolist() == [[0], [1]] and len(held) == 2
    waves.write(tmp_path / "wild" / "b.wav", np.zeros(3 * LENGTH * FRAMES.hop), FRAMES.rate)
    (_, known), (held, asked), _ = waves.described(tmp_path, FRAMES, LENGTH)  # of two recordings one is held out, and whole
    assert known.ravel().tolist() == [0] * 5 + [1] * 6 and asked.ravel().tolist() == [0, 1, 1, 1] and held[1:].std() == 0
    (tmp_path / "calm" / "a.wav").unlink()
    waves.write(tmp_path / "calm" / "c.wav", np.zeros(LENGTH * FRAMES.hop), FRAMES.rate)
    with pytest.raises(Mistake, match="two pieces of 3.1 seconds of every description, but those described as calm make 1"):
        waves.described(tmp_path, FRAMES, LENGTH)
