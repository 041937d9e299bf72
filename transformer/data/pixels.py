"""Pictures as rows of tokens, pixel by pixel, as Image GPT, PixelCNN and PixelRNN read them; and what counting says of each.

    colours = palette(learned, most=512)           # of few colours all, of many the middles of as many clusters
    rows = as_rows(learned, colours)               # [n, 1 + height width]: first the token that stands before a picture
"""
import numpy as np

from transformer.data.codes import Centres
from transformer.data.images import Pictures
from transformer.data.ngrams import mixed

SEEN = 50_000  # pixels that a palette is made from


def palette(pictures: Pictures, most: int) -> Centres:
    """The colours that pixels are told by: those there are, or, if there are more, the centres of so many clusters."""
    channels = pictures.pixels.shape[-1]
    flat = pictures.pixels.reshape(-1, channels)
    there = np.unique(flat, axis=0)
    if len(there) <= most:
        return Centres(there.astype(np.float32))
    some = flat[np.random.default_rng(0).choice(len(flat), min(SEEN, len(flat)), replace=False)]
    return Centres.fitted(some, most)


def as_rows(pictures: Pictures, colours: Centres) -> np.ndarray:
    """The colour of each pixel, in the order of reading, after the token that begins a picture."""
    codes = colours.encode(pictures.pixels.astype(np.float32)).reshape(len(pictures), -1)
    return np.pad(codes, ((0, 0), (1, 0)), constant_values=len(colours.table))


def as_pixels(codes: np.ndarray, colours: Centres, shape: tuple[int, int]) -> np.ndarray:
    """The picture of each row of codes, as far as they go; the rest is black [n, height, width, channels]."""
    flat = np.zeros((len(codes), shape[0] * shape[1], colours.table.shape[1]), np.uint8)
    flat[:, :codes.shape[1]] = colours.decode(codes).round()
    return flat.reshape(len(codes), *shape, -1)


def neighbour_bits(learned: np.ndarray, held_out: np.ndarray, width: int) -> float:
    """Bits a pixel of held-out rows for whoever counts, and believes in equal parts what is usual at each place below such a
    pixel, right of such a one, and where both are so."""
    ids = np.concatenate([learned, held_out])[:, 1:]
    grid, nothing = ids.reshape(len(ids), -1, width), ids.max() + 1
    above = np.pad(grid[:, :-1], ((0, 0), (1, 0), (0, 0)), constant_values=nothing).ravel()
    left = np.pad(grid[:, :, :-1], ((0, 0), (0, 0), (1, 0)), constant_values=nothing).ravel()
    place = np.broadcast_to(np.arange(ids.shape[1]), ids.shape).ravel()
    counted = learned[:, 1:].size

    def believed(*told: np.ndarray) -> np.ndarray:
        history, probability = np.zeros(ids.size, np.int64), np.full(ids.size, 1 / nothing)
        for more in (np.zeros_like(place), *told):
            history = np.unique(history * (more.max() + 1) + more, return_inverse=True)[1]
            probability, _ = mixed(probability, history, ids.ravel(), counted)
        return probability[counted:]

    mean = (believed(above, place) + believed(left, place) + believed(above, left, place)) / 3
    return float(-np.log2(mean).mean())
