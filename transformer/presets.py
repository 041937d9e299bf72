"""Published models by name, each with the batch it was trained with: what `describe` counts and `plan` plans.

A preset is a function whose keyword arguments are its knobs, like any experiment's; its data are blank rows of the right shape.
"""
import difflib
import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data.examples import examples
from transformer.losses import Loss, image_class, masked_and_next, next_token, sequence_to_sequence
from transformer.mistakes import Mistake
from transformer.models import bert, dalle, imagegpt, llama, palm, t5, vit, whisper
from transformer.models.bert import Pretraining
from transformer.models.gpt2 import GPT2, Size
from transformer.models.llama import Llama
from transformer.models.t5 import T5
from transformer.training.experiment import Experiment
from transformer.training.optimizers import adamw


def gpt(*, layers: int = 12, embed: int = 768, heads: int = 12, length: int = 1024, vocab: int = 50257, rows: int = 512) -> Experiment:
    """GPT-2, and GPT-3 with dense attention in every layer."""
    return _decoder(GPT2.of(Size(vocab, length, layers, embed, heads)), length, rows)


def llamas(*, layers: int = 32, embed: int = 4096, heads: int = 32, groups: int = 32, mlp: int = 11008, epsilon: float = 1e-6,
           length: int = 2048, vocab: int = 32000, rows: int = 2048) -> Experiment:
    return _decoder(Llama.of(llama.Size(vocab, layers, embed, heads, groups, mlp), epsilon=epsilon), length, rows)


def palms(*, layers: int = 118, embed: int = 18432, heads: int = 48, length: int = 2048, vocab: int = 256_000,
          rows: int = 2048) -> Experiment:
    return _decoder(palm.Palm.of(palm.Size(vocab, layers, embed, heads)), length, rows)


def berts(*, layers: int = 12, embed: int = 768, heads: int = 12, length: int = 512, vocab: int = 30522, rows: int = 256) -> Experiment:
    """With both heads of pretraining; 15 % of the words are masked."""
    size = bert.Size(vocab, length, layers=layers, embed=embed, heads=heads, mlp=4 * embed)
    masks = length * 15 // 100
    return _published(Pretraining.of(size), masked_and_next, rows, tokens=_whole(length), kinds=_whole(length),
                      present=np.ones((1, length), bool), masked=_whole(masks), labels=_whole(masks), weights=_ones(masks),
                      follows=np.zeros(1, np.int32))


def t5s(*, layers: int = 6, embed: int = 512, heads: int = 8, head: int = 64, mlp: int = 2048, gated: bool = False,
        length: int = 512, vocab: int = 32128, rows: int = 128) -> Experiment:
    """Span corruption: 512 tokens of source leave 114 of target."""
    size = t5.Size(vocab, layers, embed, heads, head, mlp)
    target = length * 114 // 512
    return _published(T5.of(size, gated), sequence_to_sequence, rows, source=_whole(length), present=np.ones((1, length), bool),
                      target=_whole(target), labels=_whole(target), weights=_ones(target))


def vits(*, image: int = 224, patch: int = 16, layers: int = 12, embed: int = 768, heads: int = 12, classes: int = 1000,
         rows: int = 4096) -> Experiment:
    size = vit.Size(image, patch, classes=classes, layers=layers, embed=embed, heads=heads, mlp=4 * embed)
    return _published(vit.Classes.of(size), image_class, rows, images=np.zeros((1, image, image, 3), np.float32), label=np.zeros(1, np.int32),
                      weights=np.ones(1, np.float32))


def whispers(*, layers: int = 32, embed: int = 1280, heads: int = 20, mels: int = 80, vocab: int = 51865, rows: int = 256) -> Experiment:
    """Thirty seconds of sound, 448 tokens of text."""
    size = whisper.Size(vocab=vocab, mels=mels, layers=layers, embed=embed, heads=heads, mlp=4 * embed)
    return _published(whisper.Whisper.of(size), sequence_to_sequence, rows, source=np.zeros((1, 3000, mels), np.float32),
                      present=np.ones((1, 3000), bool), target=_whole(448), labels=_whole(448), weights=_ones(448))


def image_gpts(*, layers: int = 48, embed: int = 1536, heads: int = 16, side: int = 32, rows: int = 128) -> Experiment:
    size = imagegpt.Size(length=side**2, layers=layers, embed=embed, heads=heads)
    return _decoder(imagegpt.imagegpt(size), side**2, rows)


def dalles(*, layers: int = 64, embed: int = 3968, heads: int = 62, caption: int = 256, side: int = 32, rows: int = 1024) -> Experiment:
    """The caption and all codes but the last are read, all but the caption's first token told."""
    size = dalle.Size(caption=caption, side=side, layers=layers, embed=embed, heads=heads)
    return _decoder(dalle.DallE.of(size), caption + side**2, rows)


PRESETS: dict[str, Callable[..., Experiment]] = {
    "gpt2": gpt,
    "gpt2-medium": partial(gpt, layers=24, embed=1024, heads=16),
    "gpt2-large": partial(gpt, layers=36, embed=1280, heads=20),
    "gpt2-xl": partial(gpt, layers=48, embed=1600, heads=25),
    "gpt3-175b": partial(gpt, layers=96, embed=12288, heads=96, length=2048, rows=1536),
    "bert-base": berts,
    "bert-large": partial(berts, layers=24, embed=1024, heads=16),
    "t5-small": t5s,
    "t5-base": partial(t5s, layers=12, embed=768, heads=12, mlp=3072),
    "t5-large": partial(t5s, layers=24, embed=1024, heads=16, mlp=4096),
    "t5-3b": partial(t5s, layers=24, embed=1024, heads=32, head=128, mlp=16384),
    "t5-11b": partial(t5s, layers=24, embed=1024, heads=128, head=128, mlp=65536),
    "t5-v1.1-small": partial(t5s, layers=8, embed=512, heads=6, mlp=1024, gated=True),
    "t5-v1.1-base": partial(t5s, layers=12, embed=768, heads=12, mlp=2048, gated=True),
    "t5-v1.1-large": partial(t5s, layers=24, embed=1024, heads=16, mlp=2816, gated=True),
    "t5-v1.1-xl": partial(t5s, layers=24, embed=2048, heads=32, mlp=5120, gated=True),
    "t5-v1.1-xxl": partial(t5s, layers=24, embed=4096, heads=64, mlp=10240, gated=True),
    "palm-8b": partial(palms, layers=32, embed=4096, heads=16, rows=512),
    "palm-62b": partial(palms, layers=64, embed=8192, heads=32, rows=1024),
    "palm-540b": palms,
    "llama-7b": llamas,
    "llama-13b": partial(llamas, layers=40, embed=5120, heads=40, groups=40, mlp=13824),
    "llama-30b": partial(llamas, layers=60, embed=6656, heads=52, groups=52, mlp=17920),
    "llama-65b": partial(llamas, layers=80, embed=8192, heads=64, groups=64, mlp=22016),
    "vit-b16": vits,
    "vit-l16": partial(vits, layers=24, embed=1024, heads=16),
    "whisper-tiny": partial(whispers, layers=4, embed=384, heads=6),
    "whisper-large-v2": whispers,
    "whisper-large-v3": partial(whispers, mels=128, vocab=51866),
    "imagegpt-large": image_gpts,
    "dalle": dalles,
    "llama2-70b": partial(llamas, layers=80, embed=8192, heads=64, groups=8, mlp=28672, epsilon=1e-5, length=4096, rows=1024),
}


def known(name: str) -> Callable[..., Experiment]:
    """A preset by name, or the experiment of a file of the user's."""
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise Mistake(f"there is no file {name}; check the path, or give one of {', '.join(PRESETS)}")
        found = runpy.run_path(name)
        if "experiment" not in found:
            raise Mistake(f"{name} has no function experiment, whose keyword arguments are its knobs; "
                          f"write one, or give the file that has it")
        return found["experiment"]
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, 1)
        raise Mistake(f"no model {name!r}{f' (did you mean {near[0]}?)' if near else ''}; there are {', '.join(PRESETS)}, "
                      f"and any file.py with an experiment in it")
    return PRESETS[name]


def _decoder(model: Any, length: int, rows: int) -> Experiment:
    return _published(model, next_token, rows, tokens=_whole(length), targets=_whole(length), weights=_ones(length))


def _published(model: Any, loss: Loss, rows: int, **blank: np.ndarray) -> Experiment:
    data = examples(**blank)
    return Experiment(model=model, loss=loss, data=data, held_out=data, rows=rows, steps=1, optimizer=adamw(1e-4), dtype="bfloat16")


def _whole(length: int) -> np.ndarray:
    return np.zeros((1, length), np.int32)


def _ones(length: int) -> np.ndarray:
    return np.ones((1, length), np.float32)
