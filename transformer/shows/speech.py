"""What was heard, what was written of it, and where it was listened to for each letter."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from grain import MapDataset
from matplotlib.figure import Figure

from transformer.data import waves
from transformer.data.examples import example
from transformer.data.sound import HOP, RATE
from transformer.data.speech import TOLD, Spoken
from transformer.data.tokenizers import Tokenizer
from transformer.looking import attention_maps
from transformer.training.experiment import Show
from transformer.training.hearing import written


def listened(spoken: Sequence[Spoken], dataset: MapDataset, tokenizer: Tokenizer, count: int = 4) -> Show:
    """The first utterances of a dataset, as files, and a picture of each: how it sounds, and the attention of the last layer."""

    def show(model: Any, folder: Path) -> str:
        count_of = min(count, len(spoken))
        texts, _ = written(model, dataset[:count_of], tokenizer)
        figure = Figure((3.6 * count_of, 5.2), dpi=110, layout="constrained")
        grid = figure.subplots(2, count_of, squeeze=False, sharex="col")
        for at, (one, text) in enumerate(zip(spoken[:count_of], texts, strict=True)):
            waves.write(folder / f"heard-{at}.wav", one.wave)
            row = example(dataset, at)
            maps = attention_maps(model, jnp.asarray(row["source"])[None], jnp.asarray(row["target"])[None])["cross"]
            letters = int(row["weights"].sum()) + 1
            weights = np.asarray(maps)[-1, 0].mean(0)[TOLD - 1:letters]
            whole = len(row["source"]) * HOP / RATE
            grid[0, at].imshow(row["source"].T, origin="lower", aspect="auto", cmap="magma", extent=(0, whole, 0, 80))
            grid[1, at].imshow(weights, aspect="auto", cmap="Blues", extent=(0, whole, len(weights) - 0.5, -0.5))
            names = [tokenizer.decode([int(id)]) or "end" for id in row["labels"][TOLD - 1:letters]]
            grid[1, at].set_yticks(range(len(names)), names)
            truth = "" if text == one.text else f"\n(truly {one.text})"
            grid[0, at].set(title=f"{one.language}, {one.task}\n{text}{truth}", xlim=(0, min(len(one.wave) / RATE, whole)))
            grid[1, at].set(xlabel="seconds")
        grid[0, 0].set_ylabel("mel bands")
        grid[1, 0].set_ylabel("listens, for each letter")
        right = sum(text == one.text for one, text in zip(spoken, texts, strict=False))
        figure.suptitle(f"{right} of {count_of} utterances written down without a mistake", fontsize=11)
        figure.savefig(folder / "heard.png")
        return "\n".join(f"heard-{at}.wav, {one.language}, {one.task}: {text!r}{'' if text == one.text else f', truly {one.text!r}'}"
                         for at, (one, text) in enumerate(zip(spoken, texts, strict=False)))

    return show
