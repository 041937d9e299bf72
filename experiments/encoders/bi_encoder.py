"""Search by meaning: an encoder gives every text a vector once, and a query finds its document by their angle.

    python -m experiments bi_encoder        two cores: .95 found first is asked for, .9 where no word is shared; by words .3 and 0
    python -m experiments bi_encoder --docstrings true --length 96        real functions by what their docstrings say, split by
        module: from scratch only a report beside TF-IDF; with --from DIR, TF-IDF is to be beaten: by MiniLM, .60 to .43 MRR,
        with --steps 6 --rows 16 --count 600, in 15 minutes on one core
    python -m experiments bi_encoder --file pairs.tsv       your own queries and documents, a tab between them

First the own document is told from those of other queries, then from the one that was mistaken for it most: mined negatives.
"""
from collections.abc import Sequence
from pathlib import Path

from numpy.random import default_rng

from transformer.data import tokenizers
from transformer.data.docstrings import functions_by_module
from transformer.data.labelled import paired, tell_cut
from transformer.data.made import paraphrases
from transformer.data.pairing import compared
from transformer.data.ranking import found_by_words
from transformer.matching import contrastive
from transformer.models.bert import Bert, Size
from transformer.models.bi_encoder import BiEncoder
from transformer.pretrained import pretrained_encoder
from transformer.shows.retrieval import found_first, mined, probed, searched
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import fitting
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "count": 200, "documents": 60, "asked": 20}


def experiment(from_: Path | None = None, file: Path | None = None, docstrings: bool = False, layers: int = 2, embed: int = 64,
               heads: int = 4, mlp: int = 96, length: int = 20, rows: int = 64, count: int = 6000, documents: int = 1000,
               asked: int = 400, rate: float = 1e-2, steps: int = 500) -> Stages:
    made = paraphrases.library(default_rng(0), documents, asked)
    known, there, truth, kinds = paraphrases.sought(default_rng(1), count), made.documents, made.truth, {
        "any_words": made.queries, "no_word_shared": made.apart}
    real = docstrings or file is not None
    if real:
        learned, unseen = (functions_by_module(False, count), functions_by_module(True, asked)) if file is None else paired(file)
        known, (asks, there) = zip(*learned[:count], strict=True), zip(*unseen[:asked], strict=True)
        truth, kinds = range(len(there)), {"real": asks}
    queries, answers = known
    if from_ is None:
        tokenizer = tokenizers.word_pieces([*queries, *answers, *paraphrases.every_word()], 4096 if real else 400)
        encoder = Bert.of(Size(tokenizer.size, length, 0, layers, embed, heads, mlp))
    else:
        encoder, tokenizer = pretrained_encoder(from_)
    asks = next(iter(kinds.values()))
    tell_cut([*queries, *answers, *asks, *there], tokenizer, length)
    words = {name: found_by_words(some, there, truth, real) for name, some in kinds.items()}
    if real:
        wanted = [Expectation("real_mrr", None, words["real"], above=True)] if from_ else []
    else:
        wanted = [Expectation("any_words_first", 0.95, words["any_words"], above=True),
                  Expectation("no_word_shared_first", 0.9, words["no_word_shared"], above=True)]
    measures = [found_first(there, truth, tokenizer, length, **kinds)]

    def stage(name: str, model: BiEncoder, columns: Sequence[Sequence[str]]) -> Experiment:
        return Experiment(
            model=model,
            tokenizer=tokenizer,
            loss=contrastive,
            data=compared(columns, tokenizer, length),
            held_out=compared((asks, [there[at] for at in truth]), tokenizer, length),
            rows=rows,
            steps=steps,
            optimizer=fitting(model, rate, steps, adam=0.3, gentle=from_ is not None),
            measures=measures if real else [*measures, probed(there, made.who, tokenizer, length)],
            corpus=file.name if file else "the standard library" if docstrings else "events told in many words",
            expects=wanted if name == "mined" else [],
            shows=[searched(there, truth, tokenizer, length, **kinds)],
            stage=name)

    first = yield stage("in_batch", BiEncoder(encoder), (queries, answers))
    yield stage("mined", first.kept, (queries, answers, mined(first.model, queries, answers, tokenizer, length)))


if __name__ == "__main__":
    main(experiment)
