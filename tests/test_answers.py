"""What is written for every source, and how often it is exactly right."""
import numpy as np
import pytest
from tiny import SPECS, sharp

from transformer.data.examples import examples
from transformer.training.answers import exact_match, exactly, written

MODEL = sharp(SPECS["t5"])
RANDOM = np.random.default_rng(0)


def asked(labels):
    source = RANDOM.integers(3, 60, (4, 6)).astype(np.int32)
    return {"source": source, "present": np.arange(6) < np.asarray([[6], [4], [5], [2]]), "target": np.ones((4, 5), np.int32),
            "labels": labels, "weights": (np.arange(5) < np.asarray([[5], [3], [4], [5]])).astype(np.float32)}


@pytest.mark.slow
def test_an_answer_is_right_when_every_token_that_counts_is():
    arrays = asked(np.zeros((4, 5), np.int32))
    said = written(MODEL, examples(**arrays))
    assert said.shape == (4, 5)
    first = MODEL(arrays["source"], arrays["target"][:, :1], present=arrays["present"])
    np.testing.assert_array_equal(said[:, 0], np.asarray(first[:, 0]).argmax(-1))
    labels = said.copy()
    labels[1, 3] += 1  # beyond what counts
    labels[2, 3] += 1  # the last that counts
    data = examples(**{**arrays, "labels": labels})
    assert exactly(MODEL, data).tolist() == [True, True, False, True]
    assert exact_match(data, ["a", "b", "b", "a"])(MODEL, {}) == {"exact": 0.75, "exact_a": 1.0, "exact_b": 0.5}
