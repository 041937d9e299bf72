"""Which words name a place, a language, a currency? An encoder says so of names that it has never seen.

    python -m experiments entities        two cores: span F1 .98 to .99; the usual tag of each word reaches .08
    python -m experiments entities --file train.conll       your own CoNLL columns: a word first, its tag last
    python -m experiments entities --from DIR               from a Hugging Face directory: BERT, RoBERTa, ModernBERT
"""
from pathlib import Path

import numpy as np

from transformer.data import files, tokenizers
from transformer.data.labelled import parted, tell_cut, words_with_classes
from transformer.data.made.names import f1, looked_up, sentences
from transformer.losses import token_class
from transformer.models.bert import Bert, Classes, Size, TokenClasses
from transformer.pretrained import pretrained_encoder
from transformer.shows.texts import span_f1, tagged_sentences
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import fitting
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "count": 300, "asked": 32}


def experiment(from_: Path | None = None, file: Path | None = None, layers: int = 2, embed: int = 96, heads: int = 4,
               mlp: int = 256, length: int = 48, rows: int = 64, vocab: int = 800, count: int = 6000, asked: int = 1000,
               hidden: float = 0.5, rate: float = 5e-3, dropout: float = 0.1, steps: int = 700) -> Experiment:
    if file is None:
        learned, held_out = sentences(count, seed=0), sentences(asked, seed=1, held_out=True)
    else:
        learned, held_out = parted(files.tagged(file), lambda one: " ".join(one.words), lambda one: one.tags)
    # The first class is that of words without a name.
    classes = sorted({tag for one in learned for tag in one.tags}, key=lambda tag: (tag != "O", tag))
    known, truth = ([np.array(files.numbers(file or "names", ((tag, one.line + at) for at, tag in enumerate(one.tags)), classes))
                     for one in some] for some in (learned, held_out))
    if from_ is None:
        tokenizer = tokenizers.word_pieces([" ".join(one.words) for one in learned], vocab, lowercase=False)
        encoder = Bert.of(Size(tokenizer.size, length, 1, layers, embed, heads, mlp), dropout)
    else:
        encoder, tokenizer = pretrained_encoder(from_)
    tell_cut([" ".join(one.words) for one in (*learned, *held_out)], tokenizer, length)
    model = TokenClasses.of(encoder, Classes.on(encoder, len(classes)), dropout)
    unseen = words_with_classes([one.words for one in held_out], truth, tokenizer, length).seed(0)

    def by_word() -> float:
        return f1([one.tags for one in held_out], looked_up(learned, held_out))

    return Experiment(
        model=model,
        loss=token_class,
        data=words_with_classes([one.words for one in learned], known, tokenizer, length, hidden),
        held_out=unseen,
        rows=rows,
        steps=steps,
        optimizer=fitting(model, rate, steps, adam=0.3, gentle=from_ is not None),
        measures=[span_f1(held_out, unseen, classes, rows)],
        corpus="sentences with names from CLDR" if file is None else file.name,
        expects=[Expectation("span_f1", 0.95 if file is None else None, by_word, above=True)],
        shows=[tagged_sentences(held_out[:10], unseen, classes)])


if __name__ == "__main__":
    main(experiment)
