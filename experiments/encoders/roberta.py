"""RoBERTa beside BERT at equal steps: new masks in every epoch, whole texts instead of pairs, no verdict on them.

    python -m experiments roberta        two cores: 4.4 nats per masked word at most; unigram 5.26
"""
import numpy as np

from transformer.data import sources, tokenizers
from transformer.data.masking import fixed, full_sentences, masked, masked_sentences
from transformer.losses import masked_and_next, masked_token
from transformer.models.bert import Pretraining, Size
from transformer.models.roberta import masked as roberta
from transformer.shows.bars import bars
from transformer.shows.masks import masked_lines
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import on

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "vocab": 640, "rows": 8}


def experiment(layers: int = 2, embed: int = 128, heads: int = 4, mlp: int = 512, length: int = 64, rows: int = 32,
               vocab: int = 1024, rate: float = 1e-2, dropout: float = 0.1, steps: int = 700) -> Stages:
    learned, held_out = sources.split(sources.python_reference())
    tokenizer = tokenizers.word_pieces(learned, vocab)
    texts, unseen = full_sentences(learned, tokenizer, length), masked(full_sentences(held_out, tokenizer, length), tokenizer).seed(0)
    counts = np.bincount(tokenizer(learned), minlength=tokenizer.size) + 1.0
    unigram = float(-np.log(counts / counts.sum())[tokenizer(held_out)].mean())
    size = Size(tokenizer.size, length + tokenizer.pad + 1, 2, layers, embed, heads, mlp)

    def stage(name: str, model, loss, data, **rest) -> Experiment:
        return Experiment(stage=name, model=model, loss=loss, data=data, rows=rows, steps=steps, corpus="the Python reference",
                          optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3), **rest)

    bert = yield stage("bert", Pretraining.of(size, dropout), masked_and_next, fixed(masked_sentences(learned, tokenizer, length)),
                       held_out=masked_sentences(held_out, tokenizer, length).seed(0), measures=[on(unseen, masked_token, rows, "texts_")])
    fixed_masks = yield stage("fixed_masks", roberta(size, dropout, tokenizer.pad), masked_token, fixed(masked(texts, tokenizer)),
                              held_out=unseen)
    others = {"unigram": unigram, "BERT: pairs, fixed masks": bert.values["texts_nats"], "texts, fixed masks": fixed_masks.values["nats"]}
    yield stage("roberta", roberta(size, dropout, tokenizer.pad), masked_token, masked(texts, tokenizer), held_out=unseen,
                expects=[Expectation("nats", 4.4, baseline=unigram)],
                shows=[masked_lines(tokenizer, unseen, range(4)),
                       bars(others, "RoBERTa: texts, new masks", "nats", on(unseen, masked_token, rows, ""), "nats per masked word")])


if __name__ == "__main__":
    main(experiment)
