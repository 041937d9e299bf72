"""DALL-E: a VQ-VAE learns to say a picture in codes, then one decoder goes on from a caption with the codes of its picture.

    python -m experiments dalle        two cores: .95 of pictures right to the pixel are asked for, and .8 where the colour
                                       and the shape were never seen together; the nearest caption's picture reaches 0
"""
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from transformer.compression import quantised
from transformer.data import tokenizers
from transformer.data.captions import filled, told_pictures
from transformer.data.galleries import unlabelled
from transformer.data.images import Pictures
from transformer.data.made import shapes
from transformer.losses import next_token
from transformer.models.dalle import DallE, Size
from transformer.models.vqvae import VQVAE
from transformer.models.vqvae import Size as Codes
from transformer.shows.captions import by_codes, exact, painted
from transformer.shows.pictures import rebuilt
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import adamw, muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 2, "embed": 16, "heads": 2, "rows": 8, "codes": 16, "width": 2, "inner": 16}


def experiment(patch: int = 2, codes: int = 512, width: int = 4, inner: int = 64, layers: int = 4, embed: int = 96, heads: int = 4,
               around: int = 5, rows: int = 32, rate: float = 5e-3, seeing: int = 1200, steps: int = 1000) -> Stages:
    every = shapes.placed()
    apart = [one for one in every if one.thing.apart]
    known = [one for one in every if not one.thing.apart]
    held_out, learned = known[:72], known[72:]
    pages, unseen, strange = (Pictures(np.stack([one.drawn() for one in some]), np.zeros(len(some), np.int32))
                              for some in (learned, held_out, apart))

    def rebuilt_exactly(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        given = strange.pixels.astype(np.float32) / 255
        again = np.asarray(model.drawn(model.nearest(model.encode(given)))).clip(0, 1) * 255
        return {"rebuilt": float(shapes.exactly(again.round(), apart).mean())}

    model = VQVAE.of(Codes(patch, 3, codes, width, inner, 2 * inner))
    painter = yield Experiment(
        stage="vqvae", model=model, loss=quantised, data=unlabelled(pages), held_out=unlabelled(unseen), rows=rows, steps=seeing,
        optimizer=adamw(warmup_cosine(rate, seeing, warmup=seeing // 10), decay=0.0), measures=[rebuilt_exactly],
        corpus="coloured shapes", expects=[Expectation("rebuilt", 0.99, baseline=0.0, above=True)], shows=[rebuilt(strange)])

    captions = [str(one) for one in learned]
    tokenizer = tokenizers.words(captions, 64)
    length = max(len(tokenizer.encode(text)) for text in captions) + 1
    words, side = tokenizer.size + length, shapes.SIDE // patch
    ask = functools.partial(filled, tokenizer=tokenizer, length=length)
    say = jax.jit(lambda images: painter.model.nearest(painter.model.encode(images)))

    def pairs(things: Sequence[shapes.Placed], pictures: Pictures) -> Any:
        return told_pictures(ask([str(one) for one in things]), np.asarray(say(pictures.pixels.astype(np.float32) / 255)), words)

    paint = by_codes(painter.model, ask, words, side**2)
    decoder = DallE.of(Size(words, codes, length, side, layers, embed, heads, around))
    yield Experiment(
        stage="decoder", model=decoder, loss=next_token, data=pairs(learned, pages), held_out=pairs(held_out, unseen), rows=rows, steps=steps,
        optimizer=muon(decoder, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[exact(paint, exact=held_out, never_together=apart)],
        corpus="captions of coloured shapes, and their codes",
        expects=[Expectation("exact", 0.95, baseline=0.0, above=True), Expectation("never_together", 0.8, baseline=0.0, above=True)],
        shows=[painted(paint, [*held_out[:6], *apart[:12]])])


if __name__ == "__main__":
    main(experiment)
