"""Music with a description: how fast it is and how high, and plucked notes that are so, some of them softer.

A note is as good as its sound: from the sound its notes can be told, so what is uncertain of the one is so of the other, and
its entropy is known.
"""
import functools
import math

import numpy as np

from transformer.data.made.markov import Markov
from transformer.data.made.tunes import plucked
from transformer.data.sound import mel_filters
from transformer.data.spectra import Frames

FRAMES = Frames(rate=8000, window=1024, hop=512, mels=64)
LENGTH = 48  # frames of each piece
TEMPI = {"fast": 2, "medium": 3, "slow": 4}  # frames of a note
REGISTERS = {"low": 131.0, "middle": 262.0, "high": 524.0}  # Hertz of the lowest of its notes
DEGREES = (0, 3, 5, 7, 10)  # semitones above it
NEXT = Markov.drawn(len(DEGREES), 1, 0.5, seed=1)
TOUCHES, CHANCES = (1.0, 0.6), (0.7, 0.3)  # how loud a note is, and how often
DAMPING, RISE = 12.0, 0.3  # notes are gone soon, so that where one begins the sound rises by so much


def jingles(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames [n, LENGTH, mels], which tempo and which register each is in [n, 2], and its surprise [n] to one who knows both."""
    random = np.random.default_rng(seed)
    tags = np.stack([random.integers(len(TEMPI), size=count), random.integers(len(REGISTERS), size=count)], 1)
    most = LENGTH // min(TEMPI.values())
    notes, touches = NEXT.sample(count, most, seed), (random.random((count, most)) < CHANCES[1]).astype(int)
    each = NEXT.surprise(notes) - np.log(np.asarray(CHANCES))[touches]
    found, nats = [], []
    for (tempo, register), row, how, surprise in zip(tags, notes, touches, each, strict=True):
        many = LENGTH // list(TEMPI.values())[tempo]
        played = zip(row[:many], how[:many], strict=True)
        wave = np.concatenate([TOUCHES[loud] * _note(register, note, LENGTH // many) for note, loud in played])
        found.append(FRAMES.of(wave)[:LENGTH])
        nats.append(surprise[:many].sum())
    return np.stack(found), tags, np.asarray(nats)


def heard(frames: np.ndarray) -> tuple[int, int]:
    """Tempo and register of a piece [t, mels], as they sound: how far apart it rises, and where it is loudest."""
    loudness = np.log(np.exp(frames).sum(-1))
    begins = np.flatnonzero(np.diff(loudness) > RISE)
    apart = float(np.median(np.diff(begins))) if len(begins) > 1 else math.inf
    pitches = mel_filters(FRAMES.mels, FRAMES.window, FRAMES.rate).argmax(0) * FRAMES.rate / FRAMES.window
    middles = np.asarray([np.mean([_pitch(low, degree) for degree in DEGREES]) for low in REGISTERS.values()])
    tempo, register = np.abs(np.asarray(list(TEMPI.values())) - min(apart, 99)), np.abs(middles - pitches[frames.argmax(-1)].mean())
    return int(tempo.argmin()), int(register.argmin())


@functools.cache
def _note(register: int, note: int, frames: int) -> np.ndarray:
    return plucked(_pitch(list(REGISTERS.values())[register], DEGREES[note]), frames * FRAMES.hop, FRAMES.rate, DAMPING)


def _pitch(lowest: float, semitones: int) -> float:
    return lowest * 2 ** (semitones / 12)
