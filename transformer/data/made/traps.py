"""Texts on which the likeliest next token leads astray: a broad way, whose every end is unlikely, beside narrow ones.

After some digits, which mean nothing, BROAD comes with .4 and then one of ten ends; NARROW with .35 and then LAST for certain;
SPLIT with .25 and then one of two ends. So greedy search says a text of probability .04, and the best one has .35.
"""
import numpy as np

DIGITS = 10
START, BROAD, NARROW, SPLIT, LAST, OTHER, END = range(DIGITS, DIGITS + 7)
ENDS = np.arange(DIGITS + 7, DIGITS + 17)  # of the broad way
TOKENS = DIGITS + 17
WAYS = {(BROAD, int(end)): 0.04 for end in ENDS} | {(NARROW, LAST): 0.35, (SPLIT, LAST): 0.125, (SPLIT, OTHER): 0.125}
BEFORE = 6  # digits
NAMES = {START: "START", BROAD: "BROAD", NARROW: "NARROW", SPLIT: "SPLIT", LAST: "LAST", OTHER: "OTHER", END: "END"}


def named(token: int) -> str:
    return NAMES.get(token, str(token))


def traps(rows: int, seed: int, held_out: bool = False) -> np.ndarray:
    """Digits, START, two tokens of a way and END [rows, BEFORE + 4]; the digits are held out or they are not."""
    random = np.random.default_rng(seed)
    digits = random.integers(DIGITS, size=(20 * rows, BEFORE))
    mixed = (digits @ DIGITS ** np.arange(BEFORE)).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)
    digits = digits[(mixed % np.uint64(5) == 0) == held_out][:rows]
    ways = np.array(list(WAYS))[random.choice(len(WAYS), len(digits), p=list(WAYS.values()))]
    return np.column_stack([digits, np.full(len(digits), START), ways, np.full(len(digits), END)]).astype(np.int32)
