"""Strings and the same strings backwards: all of the source is needed, and the first letter last."""
import string

import numpy as np


def strings(count: int, shortest: int, longest: int, seed: int, letters: int = 26, but: frozenset[str] = frozenset()) -> list[str]:
    """Random strings of every length alike, none of them among those it is told to leave out."""
    random, found = np.random.default_rng(seed), []
    alphabet = np.asarray(list(string.ascii_lowercase[:letters]))
    while len(found) < count:
        length = random.integers(shortest, longest + 1)
        text = "".join(random.choice(alphabet, length))
        if text not in but:
            found.append(text)
    return found


def backwards(texts: list[str]) -> list[str]:
    return [text[::-1] for text in texts]
