"""T5: write the spans that were cut out, then do whatever task the text begins with; with what was learned first, and without.

    python -m experiments t5        two cores: spans 1.066 nats, best 1.050; tasks .79, unlearned .46
    python -m experiments t5 --corpus python        spans of the Python language reference, or with --file of your own
"""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from grain import MapDataset

from transformer.data import sources, tokenizers
from transformer.data.corruption import span_corruption
from transformer.data.examples import example
from transformer.data.made import spans
from transformer.data.made.markov import Markov
from transformer.data.pairs import pairs
from transformer.data.tokenizers import Tokenizer
from transformer.losses import sequence_to_sequence
from transformer.models.t5 import T5, Size, rates
from transformer.shows.bars import draw_bars
from transformer.training.answers import exact_match
from transformer.training.experiment import Expectation, Experiment, Measure, Show, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import answer

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "texts": 20, "labelled": 30, "held_out": 12, "rows": 8}
SYMBOLS = 16


def experiment(layers: int = 2, embed: int = 96, heads: int = 4, mlp: int = 256, length: int = 32, texts: int = 20_000,
               labelled: int = 600, held_out: int = 300, rows: int = 128, rate: float = 4e-3, dropout: float = 0.0, steps: int = 600,
               tuning: int = 150, corpus: Literal["markov", "python"] = "markov", file: Path | None = None) -> Stages:
    source, known = Markov.drawn(SYMBOLS, 1, 0.15, seed=0), corpus == "markov" and not file
    if known:
        tokenizer = spans.tokenizer(SYMBOLS)
        ids, away = (spans.text(source, count * length, seed, tokenizer) for count, seed in ((texts, 1), (held_out, 2)))
    else:
        learned, unseen = sources.split(sources.documents(file) if file else sources.python_reference())
        tokenizer = tokenizers.unigrams(learned, 1024, sentinels=32)
        ids, away = tokenizer(learned), tokenizer(unseen)
    data, test = span_corruption(ids, tokenizer, length), span_corruption(away, tokenizer, length).seed(0)
    model = T5.of(size := Size(tokenizer.size, layers, embed, heads, embed // heads, mlp), dropout=dropout)
    shared = {"loss": sequence_to_sequence, "tokenizer": tokenizer, "rows": rows}
    least = spans.best(source, test, tokenizer) + 0.05 if known else None if file else 3.5
    trained = yield Experiment(
        stage="spans", model=model, data=data, held_out=test, steps=steps, **shared,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.75, rates=rates(size), decayed=["*kernel"]),
        corpus="a Markov source" if known else "your text" if file else "the Python reference",
        expects=[Expectation("nats", least, lambda: unigram(test, tokenizer))], shows=[answer(tokenizer, example(test, 0))])
    if not known:
        return

    asked = spans.tasks(source, held_out, 16, seed=4)
    shown = spans.tasks(source, labelled, 16, seed=3, but=frozenset(one.source for one in asked))
    few, many = (pairs([one.source for one in part], [one.target for one in part], tokenizer) for part in (shown, asked))
    judge, scratch = exact_match(many, [one.kind for one in asked]), {"exact": 1 / SYMBOLS}
    for stage, start, better in (("scratch", model, 0.0), ("fine-tuned", trained.kept, 0.05)):
        tuned = yield Experiment(
            stage=stage, model=start, data=few, held_out=many, steps=tuning, **shared,
            optimizer=muon(start, warmup_cosine(rate / 2, tuning, warmup=tuning // 10), adam=0.75, rates=rates(size), decayed=["*kernel"]),
            measures=[judge], corpus="three tasks about a Markov source", shows=[by_task(judge, stage, scratch, asked[:3])],
            expects=[Expectation("exact", scratch["exact"] + better, baseline=scratch["exact"], above=True)])
        scratch = tuned.values


def unigram(test: MapDataset, tokenizer: Tokenizer) -> float:
    """Nats per label for one who knows only how often each token is to be written."""
    labels = np.concatenate([example(test, row)["labels"] for row in range(len(test))])
    counts = np.bincount(labels, minlength=tokenizer.size) + 1.0
    return float(-np.log(counts / counts.sum())[labels].mean())


def by_task(judge: Measure, stage: str, before: Mapping[str, float], some: Sequence[spans.Task]) -> Show:
    """Each task's share of right answers, beside what was reached without learning spans first."""

    def show(model: Any, folder: Path) -> str:
        reached = {**({"scratch": before} if len(before) > 1 else {}), stage: judge(model, {})}
        bars = {f"{task}, {name}": values[f"exact_{task}"] for task in spans.TASKS for name, values in reached.items()}
        draw_bars(folder / "tasks.png", bars, "Three tasks in one model, by the word each begins with", "exactly right",
                  ("chance", 1 / SYMBOLS))
        return "\n".join([*(f"{name:24s} {value:.2f}" for name, value in bars.items()), *(f"{one.source}  ->  {one.target}" for one in some)])

    return show


if __name__ == "__main__":
    main(experiment)
