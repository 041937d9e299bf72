"""Codes stand for what is nearest; more stages stand for it more nearly."""
import numpy as np
import pytest

from transformer.data.codes import Centres, Residual
from transformer.mistakes import Mistake

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.normal(size=(8, 3)) * 5
POINTS = np.repeat(TRUE, 50, 0) + 0.05 * RANDOM.normal(size=(400, 3))


def test_clusters_are_found():
    centres = Centres.fitted(POINTS, 8)
    own = centres.encode(POINTS).reshape(8, 50)
    assert (own == own[:, :1]).all() and len(set(own[:, 0])) == 8
    assert np.abs(centres.decode(own[:, 0]) - TRUE).max() < 0.05


def test_every_code_comes_back_and_is_the_nearest():
    centres = Centres.fitted(RANDOM.normal(size=(300, 4)), 16)
    assert (centres.encode(centres.table) == np.arange(16)).all()
    vectors = RANDOM.normal(size=(5, 6, 4))
    apart = np.linalg.norm(vectors[..., None, :] - centres.table, axis=-1)
    assert (centres.encode(vectors) == apart.argmin(-1)).all()


def test_each_stage_comes_nearer():
    vectors = RANDOM.normal(size=(500, 6)).astype(np.float32)
    stages = Residual.fitted(vectors, codes=16, stages=3)
    codes = stages.encode(vectors)
    errors = [((stages.decode(codes[:, :count]) - vectors) ** 2).mean() for count in (1, 2, 3)]
    assert codes.shape == (500, 3) and errors[0] > 1.3 * errors[1] > 1.5 * errors[2]


def test_fewer_vectors_than_codes_are_refused():
    with pytest.raises(Mistake, match="16 codes cannot be found in 3 vectors"):
        Centres.fitted(TRUE[:3], 16)
