"""A text, an image and a sound pass through the same block: one stack of weights, three front ends, one piece of code."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from tiny import sharp

from transformer.data.sound import log_mel
from transformer.models import gpt2, vit, whisper
from transformer.stack import PreNorm

TEXT = jnp.asarray([[5, 3, 8, 1]])
IMAGE = jnp.asarray(np.random.default_rng(0).random((1, 8, 8, 3)), jnp.float32)
SOUND = jnp.asarray(log_mel([np.sin(np.arange(16_000) / 9)], seconds=1)[0])
WIDE = {"layers": 2, "embed": 16, "heads": 2, "mlp": 24}
TEXTS = sharp(gpt2.GPT2.of(gpt2.Size(vocab=11, length=4, **WIDE)))
IMAGES = sharp(vit.ViT.of(vit.Size(image=8, patch=4, **WIDE)))
SOUNDS = sharp(whisper.Whisper.of(whisper.Size(vocab=11, frames=50, length=4, **WIDE)).encoder)


def test_a_text_an_image_and_a_sound_pass_through_the_same_block(monkeypatch):
    stack, passed, through = IMAGES.blocks, [], PreNorm.__call__

    def watched(block, x, **context):
        passed.append(x.shape[:2])
        return through(block, x, **context)

    def answers(stack):
        """Of the same blocks between each front end and what comes after."""
        return (TEXTS.replace(blocks=stack).hidden(TEXT), IMAGES.replace(blocks=stack).encode(IMAGE), SOUNDS.replace(blocks=stack)(SOUND))

    monkeypatch.setattr(PreNorm, "__call__", watched)
    plain = answers(stack.unrolled())
    assert passed == [(1, 4)] * 2 + [(1, 5)] * 2 + [(1, 50)] * 2
    first, last = stack.unrolled().blocks
    louder = dataclasses.replace(last, mlp=jax.tree.map(lambda w: 2 * w, last.mlp))
    for one, other in zip(plain, answers(stack.replace(blocks=(first, louder))), strict=True):
        assert one.shape[-1] == 16 and np.isfinite(one).all() and np.abs(one - other).max() > 1e-3
