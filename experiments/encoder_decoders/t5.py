"""T5 on the Python language reference: write the spans that were cut out.

    python -m experiments t5        two cores, 5 minutes: 3.41 nats per token of the spans; the unigram reaches 4.27
"""
import numpy as np

from transformer.data import sources, tokenizers
from transformer.data.corruption import span_corruption
from transformer.data.examples import example
from transformer.losses import sequence_to_sequence
from transformer.models.t5 import T5, Size
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import answer


def experiment(layers: int = 3, embed: int = 128, heads: int = 4, mlp: int = 384, length: int = 96, rows: int = 24,
               vocab: int = 1024, rate: float = 1e-2, dropout: float = 0.1, steps: int = 1500) -> Experiment:
    learned, held_out = sources.split(sources.python_reference())
    tokenizer = tokenizers.unigrams(learned, vocab, sentinels=32)
    model = T5.of(Size(tokenizer.size, layers, embed, heads, embed // heads, mlp), dropout=dropout)
    unseen = span_corruption(tokenizer(held_out), tokenizer, length).seed(0)

    def unigram() -> float:
        labels = np.concatenate([example(unseen, row)["labels"] for row in range(len(unseen))])
        counts = np.bincount(labels, minlength=tokenizer.size) + 1.0
        return float(-np.log(counts / counts.sum())[labels].mean())

    return Experiment(
        model=model,
        loss=sequence_to_sequence,
        data=span_corruption(tokenizer(learned), tokenizer, length),
        held_out=unseen,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        expects=Expectation("nats", threshold=3.5, baseline=unigram),
        shows=[answer(tokenizer, example(unseen, 0))])


if __name__ == "__main__":
    main(experiment)
