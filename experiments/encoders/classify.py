"""Is a review good or bad? An encoder reads the whole sentence: what is negated, and which clause is the main one.

    python -m experiments classify        two cores: 1.0 right; trigrams reach .92, words .68
    python -m experiments classify --file reviews.csv       your own .csv, .tsv or .jsonl with `text` and `label`
    python -m experiments classify --from DIR               from a Hugging Face directory: BERT, RoBERTa, ModernBERT
"""
import functools
from pathlib import Path

import numpy as np

from transformer.data import files, tokenizers
from transformer.data.labelled import parted, tell_cut, texts_with_class
from transformer.data.linear import bag_accuracy
from transformer.data.made.reviews import reviews
from transformer.losses import text_class
from transformer.models.bert import Bert, Classes, Size, TextClasses
from transformer.pretrained import pretrained_encoder
from transformer.shows.texts import confusion
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import fitting
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "count": 300, "asked": 32}


def experiment(from_: Path | None = None, file: Path | None = None, layers: int = 2, embed: int = 64, heads: int = 4,
               mlp: int = 128, length: int = 32, rows: int = 64, count: int = 8000, asked: int = 1000, rate: float = 1e-2,
               dropout: float = 0.0, steps: int = 1000) -> Experiment:
    if file is None:
        learned, held_out = reviews(count, seed=0), reviews(asked, seed=1, held_out=True)
    else:
        learned, held_out = parted(files.labelled(file), lambda one: one.text, lambda one: [one.label])
    classes = sorted({one.label for one in learned})
    known, truth = (np.array(files.numbers(file or "reviews", ((one.label, one.line) for one in some), classes))
                    for some in (learned, held_out))
    texts, unseen = ([one.text for one in some] for some in (learned, held_out))
    if from_ is None:
        tokenizer = tokenizers.word_pieces(texts, 1024)
        encoder = Bert.of(Size(tokenizer.size, length, 1, layers, embed, heads, mlp), dropout)
    else:
        encoder, tokenizer = pretrained_encoder(from_)
    tell_cut([*texts, *unseen], tokenizer, length)
    model = TextClasses.of(encoder, Classes.on(encoder, len(classes)), dropout)

    @functools.cache
    def baseline(order: int) -> float:
        return bag_accuracy([text.split() for text in texts], known, [text.split() for text in unseen], truth, order)

    return Experiment(
        model=model,
        loss=text_class,
        data=texts_with_class(texts, known, tokenizer, length),
        held_out=texts_with_class(unseen, truth, tokenizer, length),
        rows=rows,
        steps=steps,
        optimizer=fitting(model, rate, steps, adam=0.3, gentle=from_ is not None),
        corpus="reviews that negate and concede" if file is None else file.name,
        expects=[Expectation("right", 0.98 if file is None else None, lambda: baseline(3), above=True)],
        shows=[confusion(classes, texts_with_class(unseen, truth, tokenizer, length), rows, lambda: {
            "words": baseline(1), "pairs": baseline(2), "trigrams": baseline(3)})])


if __name__ == "__main__":
    main(experiment)
