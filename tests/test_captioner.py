"""A caption hangs on its picture and on the words before; written word by word it is the same. Texts and pictures pick each other."""
import jax
import jax.numpy as jnp
import numpy as np
from tiny import sharp

from transformer.matching import image_and_text
from transformer.models.captioner import Captioner, Size
from transformer.models.clip import CLIP, ImageSize, TextSize

RANDOM = np.random.default_rng(0)
IMAGES = jnp.asarray(RANDOM.random((2, 6, 6, 3)), jnp.float32)
MODEL = sharp(Captioner.of(Size(6, 2, 3, 0, layers=2, embed=16, heads=2, mlp=24, vocab=20, words=8)))
WORDS = jnp.asarray(RANDOM.integers(0, 20, (2, 7)))
told = jax.jit(lambda model, images, words: model(images, words))


def test_a_word_hangs_on_the_picture_and_on_what_was_said():
    plain = told(MODEL, IMAGES, WORDS)
    assert np.abs(plain - told(MODEL, IMAGES.at[:, 5, 5].set(9.0), WORDS)).min(-1).max() > 1e-4
    other = told(MODEL, IMAGES, WORDS.at[:, 4].set((WORDS[:, 4] + 1) % 20))
    assert (plain[:, :4] == other[:, :4]).all() and (plain[:, 4:] != other[:, 4:]).any()


def test_words_one_by_one_are_those_of_one_go():
    decode = jax.jit(lambda model, words, memory: model.decode(words, memory))
    memory, found, at = jax.jit(lambda model: model.start(model.encode(IMAGES), 7))(MODEL), [], 0
    for steps in (3, 1, 1, 2):
        logits, memory = decode(MODEL, WORDS[:, at:at + steps], memory)
        found.append(logits)
        at += steps
    np.testing.assert_allclose(np.concatenate(found, 1), told(MODEL, IMAGES, WORDS), atol=2e-5)


SIDES = (TextSize(12, 5, 1, 16, 2, 24, 8), ImageSize(6, 2, 3, 1, 16, 2, 24, 8))
compared = jax.jit(image_and_text)
BOTH = sharp(CLIP.of(*SIDES, end=2))
TOKENS = jnp.asarray([[5, 6, 2, 0, 0], [7, 8, 9, 2, 0], [5, 6, 2, 0, 0]])
BATCH = {"tokens": TOKENS, "present": TOKENS > 0, "images": jnp.asarray(RANDOM.random((3, 6, 6, 3)), jnp.float32)}


def test_texts_that_say_the_same_are_no_rivals():
    logits = np.array(jax.jit(lambda model: model(TOKENS, BATCH["images"], present=TOKENS > 0))(BOTH))
    logits[0, 2] = logits[2, 0] = -np.inf
    own = np.diag(logits)
    expected = sum((np.logaddexp.reduce(side, 1) - own).sum() / 2 for side in (logits, logits.T))
    total, rows, metrics = compared(BOTH, BATCH)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    assert float(rows) == 3 and float(metrics["right"][0]) == (logits.argmax(0) == np.arange(3)).sum()


def test_a_blank_row_is_neither_asked_nor_found():
    blank = {name: jnp.concatenate([value, jnp.zeros_like(value[:1])]) for name, value in BATCH.items()}
    for one, other in zip(jax.tree.leaves(compared(BOTH, BATCH)), jax.tree.leaves(compared(BOTH, blank)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
