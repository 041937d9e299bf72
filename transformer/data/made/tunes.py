"""Tunes as sound: plucked notes, each as long as the beat of its tune; which note follows which is a Markov source."""
import numpy as np

from transformer.data.made.markov import Markov
from transformer.data.spectra import Frames

FRAMES = Frames(rate=8000, window=512, hop=128, mels=40)
BEATS = (10, 12, 14)  # frames of a note
SEMITONES = (0, 3, 5, 7, 10, 12, 15, 17, 19, 22, 24, 27)  # five to an octave
PITCHES = tuple(220 * 2 ** (semitones / 12) for semitones in SEMITONES)  # Hertz
NEXT = Markov.drawn(len(PITCHES), 1, 0.05, seed=3)
FADE = 40  # samples in which a note begins, and ends


def plucked(pitch: float, samples: int, rate: int = FRAMES.rate, damping: float = 4.0) -> np.ndarray:
    """A string: the higher the overtone, the softer it is and the sooner it is gone."""
    time = np.arange(samples) / rate
    overtones = [np.exp(-damping * over * time) * np.sin(2 * np.pi * over * pitch * time) / over
                 for over in range(1, 9) if over * pitch < rate / 2]
    edge = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / FADE)
    return 0.5 * np.sum(overtones, axis=0) * edge


def tunes(count: int, length: int, seed: int) -> np.ndarray:
    """Waves [count] of so many frames each, that begin anywhere in a tune."""
    random = np.random.default_rng(seed)
    samples = (length - 1) * FRAMES.hop
    found = np.empty((count, samples), np.float32)
    for number, wave in enumerate(found):
        size = int(random.choice(BEATS)) * FRAMES.hop
        notes = NEXT.sample(1, samples // size + 2, seed * 1_000_003 + number)[0]
        loud = random.uniform(0.4, 1.0, len(notes))
        whole = np.concatenate([how * _note(note, size) for note, how in zip(notes, loud, strict=True)])
        begin = random.integers(size)
        wave[:] = whole[begin:begin + samples]
    return found


def _note(note: int, samples: int) -> np.ndarray:
    if (note, samples) not in _KNOWN:
        _KNOWN[note, samples] = plucked(PITCHES[note], samples)
    return _KNOWN[note, samples]


_KNOWN: dict[tuple[int, int], np.ndarray] = {}
