"""Reviews of a sentence, good or bad: what counts is the main clause, and whether it is negated, be it from afar.

No word decides, nor two or three in a row: "not really very good" is bad, and so is "although the food was great , the room was dull".
"""

import itertools
import zlib

import numpy as np

from transformer.data.files import Labelled

THINGS = ["food", "room", "film", "plot", "staff", "music", "garden", "view", "story", "service", "bed", "wine", "song", "acting"]
GOOD = ["good", "great", "lovely", "fine", "pleasant", "brilliant", "charming", "superb", "nice", "wonderful"]
BAD = ["bad", "awful", "poor", "dull", "terrible", "dreadful", "nasty", "horrible", "weak", "boring"]
DEGREES = ["really", "very", "all that", "so", "particularly"]
OPENINGS = ["", "", "we think", "I must say", "as it happens ,", "in the end"]


def review(rng: np.random.Generator) -> Labelled:
    good = bool(rng.random() < 0.5)
    main, other = _clause(good, rng), _clause(not good, rng)
    form = rng.random()
    if form < 0.7:
        text = main
    elif form < 0.8:
        text = f"{other} but {main}"
    elif form < 0.9:
        text = f"although {other} , {main}"
    else:
        text = f"{main} although {other}"
    return Labelled(" ".join(f"{_one(OPENINGS, rng)} {text} .".split()), "good" if good else "bad", line=0)


def reviews(count: int, seed: int, held_out: bool = False) -> list[Labelled]:
    """What is held out is decided by the text, so that no seed gives a text to both sides."""
    rng = np.random.default_rng(seed)
    drawn = (review(rng) for _ in itertools.count())
    return list(itertools.islice((one for one in drawn if (zlib.crc32(one.text.encode()) % 5 == 0) == held_out), count))


def _clause(good: bool, rng: np.random.Generator) -> str:
    """Some clauses negate the opposite, with up to two words in between."""
    negated = rng.random() < 0.3
    degrees = " ".join(rng.choice(DEGREES, rng.choice(3, p=[0.75, 0.15, 0.1]), replace=False))
    return f"the {_one(THINGS, rng)} was {'not' if negated else ''} {degrees} {_one(GOOD if good != negated else BAD, rng)}"


def _one(words: list[str], rng: np.random.Generator) -> str:
    return words[rng.integers(len(words))]
