"""Captions before codes, captions to be written, captions beside pictures: in the right places, and nothing else is told."""
import numpy as np
import pytest

from transformer.data.captions import ended, filled, looked_and_written, paired_pictures, told_pictures
from transformer.data.examples import example
from transformer.data.images import Pictures
from transformer.data.tokenizers import words
from transformer.mistakes import Mistake

TEXTS = ["a red square", "a blue one at the top"]
TOKENIZER = words(TEXTS, 64)
PICTURES = Pictures(np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3), np.zeros(2, np.int32))


def test_each_place_left_over_has_a_token_of_its_own():
    rows, size = filled(TEXTS, TOKENIZER, 7), TOKENIZER.size
    assert rows[0].tolist() == [*TOKENIZER.encode(TEXTS[0]), *range(size + 3, size + 7)] and rows[1, -1] == size + 6
    with pytest.raises(Mistake, match="a caption has 6 tokens, but there is room for 4"):
        filled(TEXTS, TOKENIZER, 4)


def test_of_a_caption_and_codes_only_codes_are_told():
    prompts, codes = filled(TEXTS, TOKENIZER, 7), np.array([[0, 1, 2], [3, 4, 5]])
    row = example(told_pictures(prompts, codes, words=100), 1)
    assert row["tokens"].tolist() == [*prompts[1], 103, 104] and row["targets"][-3:].tolist() == [103, 104, 105]
    assert row["weights"].tolist() == [0] * 6 + [1] * 3


def test_a_caption_is_written_to_its_end():
    row = example(looked_and_written(PICTURES, TEXTS, TOKENIZER, 8, patch=2), 0)
    said = TOKENIZER.encode(TEXTS[0]).tolist()
    assert row["target"][:4].tolist() == [TOKENIZER.start, *said] and row["labels"][:4].tolist() == [*said, TOKENIZER.end]
    assert row["weights"].tolist() == [1] * 4 + [0] * 4 and row["present"].shape == (5,)
    np.testing.assert_allclose(row["source"] * 255, PICTURES.pixels[0], atol=1e-4)
    with pytest.raises(Mistake, match="a caption has 7 tokens with the one that ends it"):
        looked_and_written(PICTURES, TEXTS, TOKENIZER, 5, patch=2)


def test_a_text_beside_a_picture_ends_once():
    tokens, present = ended(TEXTS, TOKENIZER, 5)
    assert (tokens == TOKENIZER.end).sum(1).tolist() == [1, 1] and present.sum(1).tolist() == [4, 5]
    row = example(paired_pictures(PICTURES, TEXTS, TOKENIZER, 5), 1)
    assert row["tokens"].tolist() == tokens[1].tolist() and row["images"].max() <= 1
