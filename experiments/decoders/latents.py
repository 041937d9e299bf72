"""Next vector instead of next token: a VAE makes few numbers of a picture, and a decoder says them one patch after the other.

    python -m experiments latents                              two cores: 10 % fewer nats than independent Gaussians
    python -m experiments latents --images DIR --size 16       your own pictures: DIR/CLASS/one.png, MNIST's files, or CIFAR-10's
"""
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.compression import next_latent, variational
from transformer.data.examples import Example, examples
from transformer.data.galleries import apart, sides, unlabelled
from transformer.models import latents, vae
from transformer.shows.pictures import gallery, rebuilt
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 16, "heads": 2, "mlp": 24, "mixed": 2, "rows": 8}


def experiment(images: Path | None = None, size: int | None = None, skip: bool | None = None, patch: int = 2, width: int = 2,
               layers: int = 3, embed: int = 64, heads: int = 4, mlp: int = 128, mixed: int = 8, rows: int = 32, rate: float = 5e-3,
               dropout: float = 0.1, seeing: int = 1000, steps: int = 1000) -> Stages:
    learned, held_out = sides(images, size, skip)
    learned, chosen = apart(learned, 0.1)  # the weights kept are the best on these
    height, _, channels = learned.pixels.shape[1:]
    about = "handwritten digits" if images is None else images.name
    seen = vae.VAE.of(vae.Size(height, patch, channels, width, layers, embed, heads, mlp))
    first = yield Experiment(
        stage="vae", model=seen, loss=variational, rows=rows, steps=seeing, corpus=about,
        data=unlabelled(learned), validation=unlabelled(chosen), held_out=unlabelled(held_out),
        optimizer=muon(seen, warmup_cosine(rate, seeing, warmup=seeing // 10), adam=0.3), shows=[rebuilt(held_out)])

    look = jax.jit(first.model.encode)
    told = [[np.asarray(part) for part in look(some.pixels.astype(np.float32) / (some.levels - 1))] for some in (learned, chosen, held_out)]
    middle, spread = told[0][0].mean(0), np.sqrt(told[0][0].var(0) + np.exp(2 * told[0][1]).mean(0))

    def drawn(example: Example, rng: np.random.Generator) -> Example:
        """What a patch is told by is never quite certain: other numbers in each epoch."""
        numbers = example["mean"] + np.exp(example["deviation"]) * rng.standard_normal(middle.shape, np.float32)
        return {"latents": (numbers - middle) / spread, "weights": example["weights"]}

    data, best, unseen = (examples(mean=mean, deviation=deviation, weights=np.ones(len(mean), np.float32)).random_map(drawn, seed=seed)
                          for seed, (mean, deviation) in enumerate(told))
    unseen = unseen.seed(0)

    def independent() -> float:
        """Nats a number for whoever knows its mean and its variance, place by place, and nothing else."""
        found = np.stack([row["latents"] for at in range(len(unseen)) if (row := unseen[at])])
        return 0.5 * float(math.log(2 * math.pi) + np.square(found).mean())

    def draw(model: Any, count: int) -> np.ndarray:
        numbers = latents.drawn(model, count, jax.random.key(0)) * spread[None] + middle[None]
        return np.asarray(first.model.draw(numbers).clip(0, 1) * (learned.levels - 1)).round().astype(np.uint8)

    model = latents.Latents.of(latents.Size(width, len(middle), mixed, layers, embed, heads, 2 * mlp), dropout)
    least = independent()
    yield Experiment(
        stage="decoder", model=model, loss=next_latent, rows=rows, steps=steps, corpus=f"{about}, as numbers of a VAE",
        data=data, validation=best.seed(0), held_out=unseen,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        expects=[Expectation("nats", 0.9 * least, least)],
        shows=[gallery(learned, held_out, draw)])


if __name__ == "__main__":
    main(experiment)
