"""Fine-tuning with a hundred labels: all weights of a pretrained encoder, adapters, LoRA; and all of one from scratch.

    python -m experiments fine_tune        two cores: 1.0 right with all weights, adapters and LoRA,
                                           where the one from scratch has .78 and a bag of words .81
    python -m experiments fine_tune --file a.csv --from DIR --length 64      your texts, Hugging Face's weights
"""
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transformer.adapters import ADDED, adapters, low_rank
from transformer.data import tokenizers
from transformer.data.examples import examples
from transformer.data.labelled import labelled_texts, tell_cut
from transformer.data.linear import bag_accuracy
from transformer.data.made.topics import Topics, masked
from transformer.data.pairing import enclosed
from transformer.losses import masked_token, text_class
from transformer.models.bert import Bert, Classes, Masked, MaskedHead, Size, TextClasses
from transformer.pretrained import pretrained_encoder
from transformer.shows.tuning import side_by_side, trained_share
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import adamw, muon, warmup_cosine
from transformer.training.run import main

HEADS = ("head.*", "pooler.*")
SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "read": 200, "asked": 64, "labels": 32}


def experiment(from_: Path | None = None, file: Path | None = None, layers: int = 2, embed: int = 64, heads: int = 4,
               mlp: int = 128, rank: int = 4, width: int = 8, length: int = 14, read: int = 20_000, labels: int = 100,
               asked: int = 1000, rows: int = 64, rate: float = 1e-2, tuning: float = 2e-3, gentle: float = 0.03,
               read_steps: int = 1000, steps: int = 200) -> Stages:
    if file is None:
        source = Topics()
        learned, unseen = (source.texts(np.random.default_rng(seed), count) for seed, count in ((0, read), (1, asked)))
    else:
        (texts, classes), unseen = labelled_texts(file)
        order = np.random.default_rng(0).permutation(len(texts))  # a file may be sorted by class
        learned = [texts[at] for at in order], classes[order]
    (texts, classes), (asks, truth) = learned, unseen
    ready, tokenizer = pretrained_encoder(from_) if from_ else (None, tokenizers.word_pieces(texts, 4096))
    tell_cut([*texts, *asks], tokenizer, length)
    encoder = Bert.of(size := Size(tokenizer.size, length, 0, layers, embed, heads, mlp))

    def classified(texts: Sequence[str], labels: np.ndarray) -> Any:
        return examples(**enclosed(texts, tokenizer, length), label=labels.astype(np.int32))

    def stage(name: str, encoder: Any, only: tuple[str, ...] = (), fast: float = 5 * tuning, inside: float = 1.0,
              **more: Any) -> Experiment:
        model = TextClasses.of(encoder, Classes.on(encoder, int(classes.max()) + 1))
        only = (*only, *HEADS) if only else ()
        optimizer = adamw(warmup_cosine(fast, steps, warmup=steps // 10), only=only, rates={"encoder.*": inside})
        return Experiment(
            model=model, tokenizer=tokenizer, loss=text_class, data=classified(texts[:labels], classes[:labels]),
            held_out=classified(asks, truth), rows=min(rows, labels), steps=steps, optimizer=optimizer,
            measures=[trained_share(model, only)], corpus="a hundred labels", stage=name, **more)

    if ready is None:
        hide = partial(masked, tokenizer=tokenizer)
        reading = Masked(encoder, MaskedHead.of(size))
        pretrained = yield Experiment(
            model=reading, tokenizer=tokenizer, loss=masked_token,
            data=examples(**enclosed(texts, tokenizer, length)).random_map(hide, seed=6),
            held_out=examples(**enclosed(asks, tokenizer, length)).random_map(hide, seed=7).seed(0),
            rows=4 * rows, steps=read_steps,
            optimizer=muon(reading, warmup_cosine(rate, read_steps, warmup=read_steps // 10), adam=1.0),
            corpus="texts about topics", stage="pretrained")
        ready = pretrained.kept.encoder
    scratch = yield stage("scratch", encoder, fast=tuning)
    words = bag_accuracy([text.split() for text in texts[:labels]], classes[:labels],
                         [text.split() for text in asks], truth, 1)
    results = {"from scratch": scratch}
    best = max(words, scratch.values["right"])
    wanted = [Expectation("right", min(best + 0.05, 1.0), baseline=best, above=True)]
    # Of all the weights only the new ones may learn fast: at their rate the encoder forgets what it has read.
    results["all weights"] = yield stage("full", ready, inside=gentle, expects=wanted)
    adapted = adapters(ready, "*attention.out", "*mlp.down", width=width)
    results["adapters"] = yield stage("adapters", adapted, ADDED, expects=wanted)
    yield stage("lora", low_rank(ready, "*attention.query", "*attention.value", rank=rank), ADDED, expects=wanted,
                shows=[side_by_side({name: one.values for name, one in results.items()}, "LoRA", (*ADDED, *HEADS),
                                    enclosed(asks, tokenizer, length), truth, words)])


if __name__ == "__main__":
    main(experiment)
