"""BART's five noises, one by one; and documents that say everything twice."""
import numpy as np
import pytest

from transformer.data import noise, tokenizers
from transformer.data.made import workdays

TOKENS = np.asarray([1, 2, 9, 3, 4, 5, 9, 6, 7, 8, 9])  # 9 is the full stop
RANDOM = np.random.default_rng(0)


def many(kind, tokens=TOKENS, count=2000, **values):
    return [kind(tokens, RANDOM, **values) for _ in range(count)]


def test_a_mask_hides_a_share_and_leaves_the_rest():
    found = np.stack(many(noise.mask, sign=0))
    assert ((found == 0) | (found == TOKENS)).all() and (found == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert (noise.mask(TOKENS, RANDOM, 0, rate=0.0) == TOKENS).all()


def test_what_is_deleted_leaves_no_trace():
    found = many(noise.delete, np.arange(40))
    assert np.mean([len(one) for one in found]) == pytest.approx(32, abs=0.5)
    assert all((np.diff(one) > 0).all() for one in found)


def test_an_infilled_span_is_one_mask_whatever_its_length():
    tokens = np.arange(1, 101)
    found = many(noise.infill, tokens, 300, sign=0)
    assert all((np.diff(one[one > 0]) > 0).all() for one in found)
    assert np.mean([(one > 0).sum() for one in found]) == pytest.approx(70, abs=2)
    gaps = np.concatenate([np.diff(np.flatnonzero(np.concatenate([[True], one > 0, [True]]))) - 1 for one in found])
    masks = np.mean([(one == 0).sum() for one in found])
    assert gaps.max() >= 2 and 8 < masks < 14  # 30 tokens in spans of 3, about, and some empty ones; spans may touch
    assert any(len(one) - (one == 0).sum() == 70 and (one == 0).sum() > 10 for one in found)
    assert (noise.infill(tokens, RANDOM, 0, rate=0.0) == tokens).all()


def test_sentences_are_permuted_whole():
    sentences = {(1, 2, 9), (3, 4, 5, 9), (6, 7, 8, 9)}
    orders = set()
    for one in many(noise.permute, count=200, stop=9):
        ends = np.flatnonzero(one == 9)[:-1] + 1
        parts = [tuple(part.tolist()) for part in np.split(one, ends)]
        assert set(parts) == sentences
        orders.add(tuple(parts))
    assert len(orders) == 6


def test_a_document_is_rotated_to_begin_anywhere():
    found = {tuple(one.tolist()) for one in many(noise.rotate)}
    assert found == {tuple(np.roll(TOKENS, -by).tolist()) for by in range(len(TOKENS))}


def test_every_noise_is_undone_by_the_same_document():
    texts = workdays.documents(6, seed=0)
    tokenizer = tokenizers.spaced(texts)
    kinds = noise.noises(tokenizer)
    fixed, names = noise.each_restored(texts, kinds, tokenizer)
    assert list(kinds) == ["mask", "delete", "infill", "permute", "rotate"] == names[:5] and len(fixed) == len(names) == 30
    for at in range(30):
        assert tokenizer.decode(fixed[at]["labels"].tolist()) == texts[at // 5]
        assert fixed[at]["source"][fixed[at]["present"]][-1] == tokenizer.end
    data = noise.restored(texts, kinds, tokenizer).seed(0)
    assert {name: x.shape for name, x in data[0].items()} == {name: x.shape for name, x in fixed[0].items()}
    assert any((data[0]["source"] != data[at * 6]["source"]).any() for at in range(1, 4))  # another noise in another epoch


def test_everything_is_said_twice():
    text = workdays.document(["baker", "smith", "cook"])
    assert text == ("first the baker bakes bread . then the smith forges iron . finally the cook boils soup . "
                    "so the baker , the smith and the cook worked .")
    assert workdays.telling("bread smith soup", text) and not workdays.telling("bread smith the", text)
    unseen = workdays.documents(50, seed=2)
    assert not set(unseen) & set(workdays.documents(3000, seed=1, but=frozenset(unseen)))
