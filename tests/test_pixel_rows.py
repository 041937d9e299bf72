"""Pictures as rows of colours, there and back; what counting says of a pixel by its place and its neighbours."""
import numpy as np

from transformer.data.images import Pictures
from transformer.data.pixels import as_pixels, as_rows, neighbour_bits, palette

RANDOM = np.random.default_rng(0)


def pictures(pixels, levels=256):
    return Pictures(pixels, np.zeros(len(pixels), np.int32), levels=levels)


def test_few_colours_come_back_as_they_were():
    some = pictures(RANDOM.choice([[255, 0, 0], [0, 0, 255], [9, 9, 9]], (5, 4, 6)).astype(np.uint8))
    colours = palette(some, most=3)
    rows = as_rows(some, colours)
    assert rows.shape == (5, 25) and (rows[:, 0] == 3).all() and rows[:, 1:].max() == 2
    assert (as_pixels(rows[:, 1:], colours, (4, 6)) == some.pixels).all()
    half = as_pixels(rows[:, 1:13], colours, (4, 6))
    assert (half[:, :2] == some.pixels[:, :2]).all() and (half[:, 2:] == 0).all()


def test_of_many_colours_the_middles_are_kept():
    base = RANDOM.choice([[20, 20, 20], [220, 20, 20], [20, 220, 220], [220, 220, 220]], (6, 4, 4))
    some = pictures((base + RANDOM.integers(-5, 6, base.shape)).astype(np.uint8))
    colours = palette(some, most=4)
    back = as_pixels(as_rows(some, colours)[:, 1:], colours, (4, 4))
    assert len(colours.table) == 4 and np.abs(back.astype(int) - some.pixels).max() <= 11


def test_counting_knows_what_a_neighbour_tells():
    stripes = np.repeat(RANDOM.integers(0, 4, (400, 1, 5)), 5, 1)  # each row as the one above
    noise = RANDOM.integers(0, 4, (400, 5, 5))
    for grid, low, high in ((stripes, 0.4, 0.9), (noise, 1.95, 2.3)):
        rows = np.pad(grid.reshape(400, -1), ((0, 0), (1, 0)), constant_values=4)
        assert low < neighbour_bits(rows[:300], rows[300:], 5) < high
