"""Coloured shapes and what is said of them: "a small red circle at the top left", drawn exactly, pixel by pixel.

Some colours and shapes never meet in what is learned from, so that a model that draws or names them must have understood both.
"""
import dataclasses
import itertools
import zlib
from collections.abc import Sequence

import numpy as np

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 90, 230), "yellow": (240, 220, 50),
           "purple": (150, 60, 190), "orange": (250, 140, 30), "cyan": (60, 210, 220), "white": (250, 250, 250)}
SHAPES = ("square", "circle", "diamond", "triangle", "cross", "ring")
SIZES = {"small": 6, "large": 10}  # pixels
PLACES = {"top left": (0, 0), "top": (0, 1), "top right": (0, 2), "left": (1, 0), "centre": (1, 1), "right": (1, 2),
          "bottom left": (2, 0), "bottom": (2, 1), "bottom right": (2, 2)}
SIDE = 16
APART = {(colour, SHAPES[(5 * at + 1) % len(SHAPES)]) for at, colour in enumerate(COLOURS)}  # never learned together


@dataclasses.dataclass(frozen=True)
class Thing:
    size: str
    colour: str
    shape: str

    @property
    def apart(self) -> bool:
        return (self.colour, self.shape) in APART

    def __str__(self) -> str:
        return f"a {self.size} {self.colour} {self.shape}"


@dataclasses.dataclass(frozen=True)
class Placed:
    """One thing at one of nine places."""

    thing: Thing
    place: str

    def __str__(self) -> str:
        return f"{self.thing} at the {self.place}"

    def drawn(self) -> np.ndarray:
        """[16, 16, 3] on black."""
        room = SIDE - SIZES[self.thing.size]
        page = np.zeros((SIDE, SIDE, 3), np.uint8)
        draw(page, self.thing, *(room * step // 2 for step in PLACES[self.place]))
        return page


def placed() -> list[Placed]:
    """All there are, in an order that says nothing."""
    every = [Placed(Thing(*words), place) for *words, place in itertools.product(SIZES, COLOURS, SHAPES, PLACES)]
    return [every[at] for at in np.random.default_rng(0).permutation(len(every))]


def draw(page: np.ndarray, thing: Thing, top: int, left: int) -> None:
    """Onto a page, its upper left corner there."""
    size = SIZES[thing.size]
    page[top:top + size, left:left + size][mask(thing.shape, size)] = COLOURS[thing.colour]


def mask(shape: str, size: int) -> np.ndarray:
    """Which pixels of a square are in the shape; the middle is at zero, the edges at one."""
    down, right = (np.mgrid[:size, :size] * 2 + 1 - size) / size
    far = down**2 + right**2
    return {
        "square": np.ones((size, size), bool),
        "circle": far <= 1,
        "diamond": abs(down) + abs(right) <= 1.01,
        "triangle": abs(right) <= (down + 1) / 2 + 0.09,
        "cross": (abs(down) <= 0.34) | (abs(right) <= 0.34),
        "ring": (far <= 1) & (far > 0.3),
    }[shape]


def rounded(pixels: np.ndarray) -> np.ndarray:
    """Each pixel as the nearest colour there is [..., 3]."""
    there = np.array([(0, 0, 0), *COLOURS.values()])
    nearest = np.square(pixels[..., None, :].astype(int) - there).sum(-1).argmin(-1)
    return there[nearest].astype(np.uint8)


def exactly(drawn: np.ndarray, things: Sequence[Placed]) -> np.ndarray:
    """Of each picture whether all of its pixels are of the right colour [n]."""
    return (rounded(drawn) == np.stack([one.drawn() for one in things])).all((1, 2, 3))


RELATIONS = ("left of", "above")
CELL = 12  # pixels: each of two things lies somewhere in a cell of its own


@dataclasses.dataclass(frozen=True)
class Scene:
    """Two things, one left of the other or above it."""

    first: Thing
    relation: str
    second: Thing

    @property
    def apart(self) -> bool:
        return self.first.apart or self.second.apart

    def __str__(self) -> str:
        return f"{self.first} {self.relation} {self.second}"

    def drawn(self, random: np.random.Generator, noise: float = 12.0) -> np.ndarray:
        """[24, 24, 3] on noisy black: the row or the column that both are in, and their places in their cells, are drawn by chance."""
        page = np.zeros((2 * CELL, 2 * CELL, 3), np.uint8)
        beside = int(random.integers(2))
        for at, thing in enumerate((self.first, self.second)):
            cell = (beside, at) if self.relation == "left of" else (at, beside)
            top, left = (CELL * step + random.integers(CELL - SIZES[thing.size] + 1) for step in cell)
            draw(page, thing, int(top), int(left))
        return (page + random.normal(0, noise, page.shape)).clip(0, 255).astype(np.uint8)


def scenes(count: int, seed: int, held_out: bool = False, apart: bool = False) -> list[Scene]:
    """Scenes whose captions are either learned from or held out; in those `apart`, a colour and a shape never met before."""
    random, found = np.random.default_rng(seed), []
    while len(found) < count:
        first, second = (Thing(*(words[random.integers(len(words))] for words in (tuple(SIZES), tuple(COLOURS), SHAPES))) for _ in range(2))
        scene = Scene(first, RELATIONS[random.integers(2)], second)
        if scene.apart == apart and (apart or (zlib.crc32(str(scene).encode()) % 10 == 0) == held_out):
            found.append(scene)
    return found


def pages(some: Sequence[Scene], seed: int) -> np.ndarray:
    """Each scene drawn once [n, 24, 24, 3]."""
    random = np.random.default_rng(seed)
    return np.stack([one.drawn(random) for one in some])
