"""BERT: the words under the masks, read from both sides, and which sentence follows which.

    python -m experiments bert        two cores: .860 nats per mask where both sides allow .831 and the left alone 1.475;
                                      .97 right about what follows (.73 by names alone); 4.26 nats per word of the Python
                                      reference, unigram 5.26

Three corpora: a Markov source, of which the best guess is known exactly; stories of errands, for the order of sentences; real
text. Foreign sentences are told from those that follow, and the two in the wrong order from the two in the right one.
"""
import numpy as np

from transformer.data import sources, tokenizers
from transformer.data.examples import example, examples, stacked
from transformer.data.made.errands import stories, told_by_names
from transformer.data.made.markov import Markov, masked_optimum, masked_posterior
from transformer.data.masking import masked, masked_sentences, sentence_pairs
from transformer.losses import masked_and_next, masked_token
from transformer.models.bert import Pretraining, Size
from transformer.shows.masks import against_exact, masked_lines
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "count": 128, "asked": 32}


def experiment(layers: int = 2, embed: int = 96, heads: int = 4, mlp: int = 256, length: int = 48, rows: int = 64, vocab: int = 1024,
               count: int = 8000, asked: int = 1000, rate: float = 5e-3, reference_rate: float = 1e-2, dropout: float = 0.0, steps: int = 900,
               reference_steps: int = 400) -> Stages:
    def stage(name: str, tokenizer: tokenizers.Tokenizer, steps: int, rate: float = rate, **rest) -> Experiment:
        model = Pretraining.of(Size(tokenizer.size, length, 2, layers, embed, heads, mlp), dropout)
        return Experiment(stage=name, model=model, rows=rows, steps=steps,
                          optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.75), **rest)

    letters, source = tokenizers.characters("abcdefghijklmnop"), Markov.drawn(16, 1, evenness=0.1, seed=0)
    first = int(letters.encode("a")[0])
    known, unseen = (masked(examples(tokens=source.sample(size, length // 2, seed) + first), letters).seed(0)
                     for size, seed in ((4 * count, 1), (asked, 2)))
    optimum, left = (masked_optimum(source, unseen, first, after=after) for after in (True, False))
    yield stage("both_sides", letters, 2 * steps, loss=masked_token, data=known, held_out=unseen, corpus="a Markov source",
                expects=[Expectation("nats", optimum + 0.03, baseline=left)],
                shows=[against_exact(unseen, masked_posterior(source, unseen, first), masked_posterior(source, unseen, first, after=False),
                                     first)])

    learned, held_out = stories(count, seed=0), stories(asked, seed=1, held_out=True)
    pieces = tokenizers.word_pieces(learned, vocab)
    unseen, pairs = (make(held_out, pieces, length, swapped=0.5).seed(0) for make in (masked_sentences, sentence_pairs))
    by_names = told_by_names(stacked([example(pairs, at) for at in range(len(pairs))]), pieces)
    yield stage("sentences", pieces, steps, loss=masked_and_next, data=masked_sentences(learned, pieces, length, swapped=0.5),
                held_out=unseen, corpus="stories of errands",
                expects=[Expectation("follows_right", 0.95, baseline=by_names, above=True)], shows=[masked_lines(pieces, unseen, range(6))])

    learned, held_out = sources.split(sources.python_reference())
    pieces = tokenizers.word_pieces(learned, vocab)
    unseen = masked_sentences(held_out, pieces, length).seed(0)
    counts = np.bincount(pieces(learned), minlength=pieces.size) + 1.0
    unigram = float(-np.log(counts / counts.sum())[pieces(held_out)].mean())
    yield stage("reference", pieces, reference_steps, reference_rate, loss=masked_and_next,
                data=masked_sentences(learned, pieces, length), held_out=unseen, corpus="the Python reference",
                expects=[Expectation("nats", 4.4, baseline=unigram)], shows=[masked_lines(pieces, unseen, range(3))])


if __name__ == "__main__":
    main(experiment)
