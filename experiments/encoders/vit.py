"""ViT: a handwritten digit is sixteen patches, and an encoder that sees all of them says which digit it is.

    python -m experiments vit                               two cores: .98 is asked for, as are .97 of logistic regression
    python -m experiments vit --images DIR --size 32        your own pictures: DIR/CLASS/one.png, MNIST's files, or CIFAR-10's
    python -m experiments vit --images DIR --skip true      the same, if some of the files are broken
"""
from functools import cache, partial
from pathlib import Path

import numpy as np

from transformer.data.galleries import sides, with_class
from transformer.data.linear import logistic
from transformer.losses import image_class
from transformer.models.vit import Classes, Size
from transformer.shows.pictures import confusion, looked_at
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "rows": 32}


def experiment(images: Path | None = None, size: int | None = None, skip: bool | None = None, patch: int = 2, layers: int = 4,
               embed: int = 64, heads: int = 4, mlp: int = 128, nudge: int = 1, smoothing: float = 0.1, dropout: float = 0.1,
               rows: int = 64, rate: float = 5e-3, steps: int = 2000) -> Experiment:
    learned, held_out = sides(images, size, skip)
    height, _, channels = learned.pixels.shape[1:]
    model = Classes.of(Size(height, patch, channels, len(learned.classes), layers, embed, heads, mlp), dropout=dropout)
    unseen = with_class(held_out).seed(0)

    @cache
    def regressed() -> float:
        flat = (one.pixels.reshape(len(one), -1).astype(np.float32) for one in (learned, held_out))
        first, second = flat
        return float((logistic(first, learned.labels, second) == held_out.labels).mean())

    return Experiment(
        model=model,
        loss=partial(image_class, smoothing=smoothing),
        data=with_class(learned, nudge),
        held_out=unseen,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        corpus="handwritten digits" if images is None else images.name,
        expects=[Expectation("right", 0.98, regressed, above=True)],
        shows=[confusion(learned.classes, unseen, rows, lambda: {"logistic regression": regressed()}), looked_at(unseen)])


if __name__ == "__main__":
    main(experiment)
