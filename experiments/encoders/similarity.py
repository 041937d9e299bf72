"""How alike do two sentences mean? One encoder reads each by itself, and the cosine of their vectors is the answer.

    python -m experiments similarity        two cores: Spearman .9 is asked for; the words in common reach .3
    python -m experiments similarity --file pairs.tsv       your own .csv, .tsv or .jsonl with `first`, `second` and `score`
    python -m experiments similarity --from DIR             from a Hugging Face directory: BERT, RoBERTa, ModernBERT
"""
from pathlib import Path

import numpy as np
from numpy.random import default_rng

from transformer.data import tokenizers
from transformer.data.labelled import scored_pairs, tell_cut
from transformer.data.made import paraphrases
from transformer.data.pairing import compared
from transformer.data.ranking import overlap, spearman
from transformer.matching import likeness
from transformer.models.bert import Bert, Size
from transformer.models.bi_encoder import BiEncoder
from transformer.pretrained import pretrained_encoder
from transformer.shows.retrieval import alike, rank_correlation
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import fitting
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "count": 300, "asked": 64}


def experiment(from_: Path | None = None, file: Path | None = None, layers: int = 2, embed: int = 64, heads: int = 4, mlp: int = 96,
               length: int = 20, rows: int = 64, count: int = 20_000, asked: int = 1000, rate: float = 1e-2, steps: int = 1000) -> Experiment:
    if file is None:
        learned, unseen = (list(zip(*(paraphrases.graded(rng, held_out) for _ in range(some)), strict=True))
                           for rng, held_out, some in ((default_rng(0), False, count), (default_rng(1), True, asked)))
    else:
        learned, unseen = scored_pairs(file)
    if from_ is None:
        tokenizer = tokenizers.word_pieces([*learned[0], *learned[1]], 4096)
        encoder = Bert.of(Size(tokenizer.size, length, 0, layers, embed, heads, mlp))
    else:
        encoder, tokenizer = pretrained_encoder(from_)
    model = BiEncoder(encoder)

    data, held_out = (compared((firsts, seconds), tokenizer, length, score=np.array(scores, np.float32))
                      for firsts, seconds, scores in (learned, unseen))
    tell_cut([text for side in (learned, unseen) for texts in side[:2] for text in texts], tokenizer, length)
    firsts, seconds, truth = unseen
    overlaps = np.array([overlap(one, other) for one, other in zip(firsts, seconds, strict=True)])
    by_words = spearman(overlaps, np.array(truth))

    return Experiment(
        model=model,
        tokenizer=tokenizer,
        loss=likeness,
        data=data,
        held_out=held_out,
        rows=rows,
        steps=steps,
        optimizer=fitting(model, rate, steps, adam=0.3, gentle=from_ is not None),
        measures=[rank_correlation(held_out.arrays)],
        corpus="events told in many words" if file is None else file.name,
        expects=[Expectation("spearman", 0.9 if file is None else None, by_words, above=True)],
        shows=[alike(firsts, seconds, held_out.arrays, overlaps)])


if __name__ == "__main__":
    main(experiment)
