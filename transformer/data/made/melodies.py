"""Melodies by a grammar: bars of four beats in one key, each with a rhythm and a chord that follow from those of the bar before.

The first note of a bar is its chord's root, struck harder; the others walk along the scale. So the chance of every event is
known, and what a melody does wrong is heard.
"""
import random
from collections.abc import Iterable, Sequence

import numpy as np

from transformer.data.midi import LEVELS, OFF, ON, SHIFT, VELOCITY

SCALE = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones of the degrees above the keynote
KEYS = range(54, 66)  # keynotes, around the middle C
LOUD, SOFT = 3 * LEVELS // 4, LEVELS // 2
EIGHTH, BAR = 25, 200  # hundredths of a second
RHYTHMS = ((2, 2, 2, 2), (4, 2, 2), (2, 2, 4), (4, 4),  # of a bar, in eighths
           (1, 1, 2, 2, 2), (2, 1, 1, 2, 2), (3, 1, 2, 2), (2, 2, 1, 1, 1, 1))
AFTER_RHYTHM = np.random.default_rng(7).dirichlet(np.full(len(RHYTHMS), 0.5), len(RHYTHMS))
CHORDS = (0, 3, 4, 5)  # degrees that they are built on: tonic, subdominant, dominant, its relative minor
AFTER_CHORD = np.asarray([(0.1, 0.4, 0.3, 0.2), (0.3, 0.1, 0.5, 0.1), (0.6, 0.0, 0.1, 0.3), (0.1, 0.5, 0.4, 0.0)])
NEAR = {0: 1.0, 1: 6.0, 2: 2.0, 3: 0.5}  # how likely a step so wide is beside others
WALK = np.asarray([[NEAR.get(abs(to - of), 0.0) for to in range(len(SCALE))] for of in range(len(SCALE))])
WALK = WALK / WALK.sum(-1, keepdims=True)


def melodies(count: int, length: int, seed: int, keys: Sequence[int] = KEYS) -> tuple[np.ndarray, np.ndarray]:
    """So many beginnings of melodies, as events [n, length], and the surprise at each event to one who knows the grammar."""
    draw = random.Random(seed)
    events, nats = zip(*(_melody(length, draw, keys) for _ in range(count)), strict=True)
    return np.asarray(events, np.int32), np.asarray(nats)


def heard(events: Iterable[int]) -> dict[str, float]:
    """How many bars there are, from one hard-struck note to the next, how many have the right length, and how many notes
    there are, how many in the key of the first."""
    now, loud, bars, pitches = 0, False, list[int](), list[int]()
    for event in events:
        if event >= VELOCITY:
            loud = event - VELOCITY == LOUD
        elif event >= SHIFT:
            now += int(event) - SHIFT + 1
        elif event < OFF:
            pitches.append(int(event) - ON)
            bars += [now] if loud else []
    lengths = np.diff(bars)
    within = [(pitch - pitches[0]) % 12 in SCALE for pitch in pitches]
    return {"bars": len(lengths), "right": int((lengths == BAR).sum()), "notes": len(pitches), "in_key": sum(within)}


def _melody(length: int, draw: random.Random, keys: Sequence[int]) -> tuple[list[int], list[float]]:
    key, rhythm, chord = draw.choice(keys), 0, 0
    events, chances = list[int](), list[float]()

    def say(event: int, chance: float = 1.0) -> None:
        events.append(event)
        chances.append(chance)

    def following(table: list[list[float]], last: int) -> tuple[int, float]:
        (new,) = draw.choices(range(len(table)), table[last])
        return new, table[last][new]

    while len(events) < length:
        chord, chance = following(CHORD_TABLE, chord) if events else (chord, 1 / len(keys))
        degree, last = CHORDS[chord], rhythm
        rhythm, _ = following(RHYTHM_TABLE, last)
        for place, eighths in enumerate(RHYTHMS[rhythm]):
            if place < 2:
                say(VELOCITY + (SOFT if place else LOUD))
            if place:
                degree, chance = following(WALK_TABLE, degree)
            say(ON + key + SCALE[degree], chance)
            say(SHIFT + eighths * EIGHTH - 1, LENGTHS[last][rhythm][place])
            say(OFF + key + SCALE[degree])
    return events[:length], (-np.log(chances[:length])).tolist()


def _lengths(last: int, rhythm: tuple[int, ...]) -> list[float]:
    """The chance of each note's length: a rhythm shows itself note by note, and of those that began alike some go on like it."""
    chances = [sum(chance for other, chance in zip(RHYTHMS, AFTER_RHYTHM[last], strict=True) if other[:place] == rhythm[:place])
               for place in range(len(rhythm) + 1)]
    return [float(longer / shorter) for shorter, longer in zip(chances, chances[1:], strict=False)]


LENGTHS = [[_lengths(last, rhythm) for rhythm in RHYTHMS] for last in range(len(RHYTHMS))]
CHORD_TABLE, RHYTHM_TABLE, WALK_TABLE = (table.tolist() for table in (AFTER_CHORD, AFTER_RHYTHM, WALK))
