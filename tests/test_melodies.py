"""Melodies by a grammar: every event's chance is exact, and what is wrong with a melody is heard."""
import numpy as np
import pytest

from transformer.data import midi
from transformer.data.made import melodies as made
from transformer.data.made.melodies import BAR, KEYS, SCALE, heard, melodies

EVENTS, NATS = melodies(400, 97, seed=0)


def test_melodies_are_events_of_notes():
    for piece in EVENTS[:5]:
        notes = midi.decode(piece)
        again = midi.encode(notes)
        np.testing.assert_array_equal(again[:85], piece[:85])  # what was cut off is let go at the end


def test_bars_are_of_one_length_and_notes_of_one_key():
    for piece in EVENTS:
        found = heard(piece)
        assert found["bars"] == found["right"] >= 4 and found["notes"] == found["in_key"]
    wrong = EVENTS[0].copy()
    second = np.flatnonzero(wrong < midi.OFF)[1]
    wrong[second] += 1  # a semitone, or out of key
    late = np.flatnonzero((wrong >= midi.SHIFT) & (wrong < midi.VELOCITY))[0]
    wrong[late] -= 3
    assert heard(wrong)["right"] == heard(wrong)["bars"] - 1


def test_chances_are_how_often_things_happen():
    """The first note, of twelve keys; and at every place the mean surprise is that of guessing rightly on average."""
    assert np.exp(-NATS[0, 1]) == pytest.approx(1 / len(KEYS))
    struck = EVENTS < midi.OFF
    lengths = (EVENTS >= midi.SHIFT) & (EVENTS < midi.VELOCITY)
    assert (NATS[~struck & ~lengths] == 0).all() and (NATS >= 0).all()
    first_lengths = EVENTS[:, 2] - midi.SHIFT + 1
    for eighths in (1, 2, 3, 4):
        chance = sum(p for rhythm, p in zip(made.RHYTHMS, made.AFTER_RHYTHM[0], strict=True) if rhythm[0] == eighths)
        here = first_lengths == eighths * made.EIGHTH
        np.testing.assert_allclose(np.exp(-NATS[here, 2]), chance)
        assert here.mean() == pytest.approx(chance, abs=0.08)


def test_all_bars_together_are_certain():
    for last in range(len(made.RHYTHMS)):
        whole = [np.prod(lengths) for lengths in made.LENGTHS[last]]
        np.testing.assert_allclose(whole, made.AFTER_RHYTHM[last])
    assert {sum(rhythm) * made.EIGHTH for rhythm in made.RHYTHMS} == {BAR}
    np.testing.assert_allclose(made.AFTER_CHORD.sum(-1), 1.0)


def test_transposed_music_is_the_same_music_elsewhere():
    higher = midi.transposed(EVENTS[0], 5)
    assert [note.pitch for note in midi.decode(higher)] == [note.pitch + 5 for note in midi.decode(EVENTS[0])]
    assert heard(higher) == heard(EVENTS[0]) and max(SCALE) == 12
    assert midi.transposed(np.asarray([127, 128 + 3, 300, 380]), 4).tolist() == [127, 128 + 7, 300, 380]
