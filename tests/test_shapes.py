"""Shapes are drawn as their captions say; what never meets in what is learned can still be put together from its parts."""
import numpy as np

from transformer.data.galleries import sides
from transformer.data.made import coloured, shapes

EVERY = shapes.placed()
DRAWN = np.stack([one.drawn() for one in EVERY])


def test_every_caption_has_a_picture_of_its_own():
    assert len({str(one) for one in EVERY}) == len(np.unique(DRAWN.reshape(len(EVERY), -1), axis=0)) == 864
    one = shapes.Placed(shapes.Thing("small", "red", "square"), "bottom right")
    assert str(one) == "a small red square at the bottom right"
    assert (one.drawn()[10:, 10:] == shapes.COLOURS["red"]).all() and not one.drawn()[:10].any() and not one.drawn()[:, :10].any()


def test_some_pairs_are_never_learned_but_all_of_their_parts_are():
    apart = np.array([one.thing.apart for one in EVERY])
    assert apart.sum() == 8 * 2 * 9 and len({pair[0] for pair in shapes.APART}) == 8
    squares = DRAWN.reshape(-1, 8, 2, 8, 2, 3).swapaxes(2, 3).reshape(len(EVERY), 64, 12)
    known, strange = ({part.tobytes() for part in squares[side].reshape(-1, 12)} for side in (~apart, apart))
    assert strange <= known


def test_a_picture_is_right_when_every_pixel_is_nearest_to_its_colour():
    faint = (DRAWN[:5] * 0.9).astype(np.uint8)
    assert shapes.exactly(faint, EVERY[:5]).all()
    faint[2, 8, 8] = 255 - faint[2, 8, 8]
    assert shapes.exactly(faint, EVERY[:5]).tolist() == [True, True, False, True, True]


def test_scenes_are_as_they_are_told():
    learned, held_out, strange = shapes.scenes(300, 0), shapes.scenes(100, 1, held_out=True), shapes.scenes(100, 2, apart=True)
    assert not {str(one) for one in learned} & {str(one) for one in held_out}
    assert not any(one.apart for one in (*learned, *held_out)) and all(one.apart for one in strange)
    scene = shapes.Scene(shapes.Thing("large", "blue", "square"), "above", shapes.Thing("small", "red", "cross"))
    assert str(scene) == "a large blue square above a small red cross"
    page = scene.drawn(np.random.default_rng(0), noise=0.0)
    rows = [np.flatnonzero((page == shapes.COLOURS[colour]).all(-1).any(1)) for colour in ("blue", "red")]
    assert len(rows[0]) == 10 and rows[0].max() < 12 <= rows[1].min()


def test_digits_in_colours_are_called_by_both():
    learned, held_out = sides()
    known, texts = coloured.coloured(learned, False, seed=0, most=200)
    strange, _ = coloured.coloured(held_out, True, seed=1, most=50)
    assert not {coloured.PAIRS[label] for label in known.labels} & coloured.APART and len(strange) == 50
    assert {coloured.PAIRS[label] for label in strange.labels} <= coloured.APART
    for at in (0, 7, 99):
        colour, name = coloured.PAIRS[known.labels[at]]
        assert colour in texts[at] and name in texts[at]
        ink = known.pixels[at].reshape(-1, 3)
        np.testing.assert_allclose(ink[ink.sum(1).argmax()], shapes.COLOURS[colour], atol=1)
