"""Summaries: of made logs, which a program checks; and of real functions, whose authors wrote one, against writing without reading.

    python -m experiments summarize                         two cores
    python -m experiments summarize --file pairs.tsv        of your own texts, each with its summary behind a tab
"""
from pathlib import Path

import numpy as np

from transformer.data import functions, tokenizers
from transformer.data.examples import Example, example
from transformer.data.made import logs
from transformer.data.pairs import pairs, parallel
from transformer.data.tokenizers import Tokenizer
from transformer.losses import sequence_to_sequence
from transformer.models.t5 import T5, Size, rates
from transformer.shows.alignment import attended, mapped
from transformer.training.answers import exact_match
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import answer

SMOKE = {"days": 50, "held_out": 8, "files": 6, "layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 24, "rows": 4, "vocab": 300}


def experiment(layers: int = 2, embed: int = 128, heads: int = 4, mlp: int = 256, days: int = 20_000, held_out: int = 200,
               files: int = 900, vocab: int = 1024, length: int = 80, rows: int = 32, rate: float = 5e-3, dropout: float = 0.1,
               steps: int = 600, reading: int = 400, file: Path | None = None) -> Stages:
    away = logs.logs(held_out, seed=2)
    learned = logs.logs(days, seed=1, but=frozenset(away))
    tokenizer = tokenizers.spaced([*learned, *map(logs.summary, learned)])
    data, test = (pairs(part, [logs.summary(log) for log in part], tokenizer) for part in (learned, away))

    def begun(tokenizer: Tokenizer, count: int, drop: float = 0.0) -> dict:
        size = Size(tokenizer.size, layers, embed, heads, embed // heads, mlp)
        model = T5.of(size, gated=True, tied=True, dropout=drop)
        return {"model": model, "loss": sequence_to_sequence, "tokenizer": tokenizer, "rows": rows, "steps": count,
                "optimizer": muon(model, warmup_cosine(rate, count, warmup=count // 10), adam=0.75, rates=rates(size))}

    if not file:
        yield Experiment(
            stage="logs", data=data, held_out=test, **begun(tokenizer, steps), measures=[exact_match(test)],
            corpus="logs of services",
            expects=[Expectation("exact", 0.9, baseline=lambda: logs.times_and_a_guess(learned, away), above=True)],
            shows=[answer(tokenizer, example(test, 0)), mapped(tokenizer, example(test, 0), {"where it looked": attended}, "log.png")])

    parts = [([one.code for one in part], [one.line for one in part]) for part in functions.parted(functions.described(files))]
    parts = parallel(file) if file else parts
    tokenizer = tokenizers.byte_pairs([text for side in parts[0] for text in side], vocab)
    real, unseen = (pairs(*part, tokenizer, most=(length, 24)) for part in parts)
    cut = len(real) * 9 // 10  # the last tenth to choose the weights by: files follow each other
    corpus = "pairs of a file" if file else "the standard library's functions"
    blind = yield Experiment(
        stage="without reading", data=real[:cut].map(unread), held_out=unseen.map(unread), validation=real[cut:].map(unread),
        **begun(tokenizer, reading, dropout), corpus=corpus)
    yield Experiment(
        stage="reading", data=real[:cut], held_out=unseen, validation=real[cut:], **begun(tokenizer, reading, dropout),
        corpus=corpus, shows=[answer(tokenizer, example(unseen, at)) for at in (0, len(unseen) // 2)],
        expects=[Expectation("nats", blind.values["nats"] - 0.3, baseline=blind.values["nats"])])


def unread(one: Example) -> Example:
    """The same answer to nothing."""
    return {**one, "source": np.zeros_like(one["source"]), "present": np.arange(len(one["present"])) == 0}


if __name__ == "__main__":
    main(experiment)
