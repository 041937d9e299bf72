"""Handwritten digits in colours, and what is said of them: "the red seven". Some colours and digits never meet in what is learned."""
import numpy as np

from transformer.data.images import Pictures
from transformer.data.made.shapes import COLOURS

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDINGS = ("the {} {}", "the digit {1} in {0}", "{1}, written in {0}")
PAIRS = [(colour, name) for colour in COLOURS for name in NAMES]
APART = {(tuple(COLOURS)[(3 * digit + 1) % len(COLOURS)], name) for digit, name in enumerate(NAMES)}  # never learned together


def coloured(digits: Pictures, apart: bool, seed: int, most: int | None = None) -> tuple[Pictures, list[str]]:
    """Each digit in the colours that it is learned in, or `apart`, in those that it never is; and a caption for each.

    Labels count PAIRS. With `most`, so many of them, drawn by chance.
    """
    random = np.random.default_rng(seed)
    every = [(at, number) for at, digit in enumerate(digits.labels) for number, pair in enumerate(PAIRS)
             if pair[1] == NAMES[digit] and (pair in APART) == apart]
    chosen = [every[at] for at in random.permutation(len(every))[:most]]
    ink = np.array([COLOURS[PAIRS[number][0]] for _, number in chosen]) / (digits.levels - 1)
    pixels = (digits.pixels[[at for at, _ in chosen]] * ink[:, None, None]).round().astype(np.uint8)
    texts = [WORDINGS[random.integers(len(WORDINGS))].format(*PAIRS[number]) for _, number in chosen]
    return Pictures(pixels, np.array([number for _, number in chosen], np.int32)), texts
