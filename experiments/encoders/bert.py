"""BERT on the Python language reference: the words under the masks, and which sentence follows which.

    python -m experiments bert        two cores, 4 minutes: 3.61 nats per masked word; the unigram reaches 5.12
"""
import numpy as np

from transformer.data import sources, tokenizers
from transformer.data.examples import example
from transformer.data.masking import masked_sentences
from transformer.losses import masked_and_next
from transformer.models.bert import Pretraining, Size
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import guesses


def experiment(layers: int = 3, embed: int = 128, heads: int = 4, mlp: int = 512, length: int = 64, rows: int = 32,
               vocab: int = 1024, rate: float = 5e-3, dropout: float = 0.1, steps: int = 2000) -> Experiment:
    learned, held_out = sources.split(sources.python_reference())
    tokenizer = tokenizers.word_pieces(learned, vocab)
    model = Pretraining.of(Size(tokenizer.size, length, 2, layers, embed, heads, mlp), dropout)
    unseen = masked_sentences(held_out, tokenizer, length).seed(0)

    def unigram() -> float:
        counts = np.bincount(tokenizer(learned), minlength=tokenizer.size) + 1.0
        return float(-np.log(counts / counts.sum())[tokenizer(held_out)].mean())

    return Experiment(
        model=model,
        loss=masked_and_next,
        data=masked_sentences(learned, tokenizer, length),
        held_out=unseen,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        expects=Expectation("nats", threshold=4.1, baseline=unigram),
        shows=[guesses(tokenizer, example(unseen, 0))])


if __name__ == "__main__":
    main(experiment)
