"""Random maps in a prompt: consistent in a row, no map both learned and held out, shots counted."""
import numpy as np

from transformer.data.examples import example
from transformer.data.made.maps import maps


def read(row, keys):
    """The pairs of a row, with their groups."""
    tokens = [*row["tokens"].tolist(), int(row["targets"][-1])]
    assert all(token < keys for token in tokens[::2]) and all(token >= keys for token in tokens[1::2])
    return list(zip(tokens[::2], tokens[1::2], row["group"][::2].tolist(), strict=True))


def test_a_row_follows_one_map_and_counts_what_it_showed():
    data = maps(20, pairs=12, keys=3, values=4, seed=0)
    for row in range(20):
        table, shown = {}, {}
        one = example(data, row)
        for key, value, group in read(one, 3):
            assert table.setdefault(key, value) == value and group == min(shown.get(key, 0), 3)
            shown[key] = shown.get(key, 0) + 1
        np.testing.assert_array_equal(one["weights"], one["group"] >= 0)
        np.testing.assert_array_equal(one["weights"][1::2], 0)


def test_no_map_is_learned_and_held_out():
    learned, unseen = ({tuple(sorted({pair[:2] for pair in read(example(data, row), 3)})) for row in range(300)}
                       for data in (maps(300, 40, 3, 4, seed=0), maps(300, 40, 3, 4, seed=1, held_out=True)))
    assert len(learned) > 30 and len(unseen) > 5 and not learned & unseen
