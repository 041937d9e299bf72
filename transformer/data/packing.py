"""Several documents in one row, none of which sees another; the rows are filled ahead of time."""

from collections.abc import Sequence

import numpy as np
from grain import MapDataset

from transformer.data.examples import examples
from transformer.mistakes import Mistake


def packed(documents: Sequence[np.ndarray], length: int) -> MapDataset:
    """Next-token examples of `length` tokens, in which every pair of neighbours in a document is trained exactly once.

    Segments count from 1 in each row and positions from 0 in each segment; padding is segment 0 and weighs nothing.
    A document longer than a row goes on in another one, as a segment of its own.
    """
    pairs = np.array([max(len(document) - 1, 0) for document in documents])
    if not pairs.any():
        raise Mistake(f"None of {len(pairs)} documents has two tokens, so there is none to predict.")

    # Cut the documents into pieces of at most `length` pairs: where each begins in the text, and its size.
    pieces = -(-pairs // length)
    within = _counted(pieces) * length
    begin = np.repeat(_before([len(document) for document in documents]), pieces) + within
    size = np.minimum(np.repeat(pairs, pieces) - within, length)

    row, column, segment = _best_fit(size, length)
    step = _counted(size)
    source = np.repeat(begin, size) + step
    place = np.repeat(row * length + column, size) + step

    text = np.concatenate(documents).astype(np.int32)
    rows = row.max() + 1

    def filled(values: np.ndarray) -> np.ndarray:
        table = np.zeros(rows * length, values.dtype)
        table[place] = values
        return table.reshape(rows, length)

    return examples(
        tokens=filled(text[source]),
        targets=filled(text[source + 1]),
        weights=filled(np.ones(len(source), np.float32)),
        positions=filled(step.astype(np.int32)),
        segments=filled(np.repeat(segment, size).astype(np.int32)),
    )


def _best_fit(size: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and segment of each piece: the longest first, each into the fullest row that still has room."""
    row, column, segment = (np.zeros(len(size), np.int64) for _ in range(3))
    open_rows: list[list[int]] = [[] for _ in range(length + 1)]  # rows by the room that they have left
    rooms = np.zeros(length + 1, bool)
    held: list[int] = []  # how many pieces each row holds
    for piece in np.argsort(-size, kind="stable").tolist():
        need = int(size[piece])
        room = need + int(rooms[need:].argmax())
        if rooms[room]:
            chosen = open_rows[room].pop()
            rooms[room] = bool(open_rows[room])
        else:
            chosen, room = len(held), length
            held.append(0)
        held[chosen] += 1
        row[piece], column[piece], segment[piece] = chosen, length - room, held[chosen]
        if room > need:
            open_rows[room - need].append(chosen)
            rooms[room - need] = True
    return row, column, segment


def _before(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """The sum of the sizes before each one."""
    return np.cumsum(sizes) - sizes


def _counted(sizes: np.ndarray) -> np.ndarray:
    """0, 1, ... up to each size, one after the other."""
    return np.arange(sizes.sum()) - np.repeat(_before(sizes), sizes)
