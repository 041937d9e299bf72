"""PaLM: attention and feed-forward side by side, one head of keys and values for all queries.

    python -m experiments palm        two cores: within .02 nats of the best possible on the source; on the reference
                                      less than 2.1 bits per byte, a byte 5-gram reaches 2.13
"""
from functools import partial

from transformer.data.reference import Chains, Reference
from transformer.losses import next_token
from transformer.models.palm import Palm, Size
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation, rescaled

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "head": 16, "mlp": 48, "chains": 64}


def experiment(layers: int = 4, embed: int = 192, heads: int = 6, head: int = 32, mlp: int = 512, length: int = 128,
               rows: int = 16, vocab: int = 1024, rate: float = 1e-2, dropout: float = 0.1, steps: int = 400,
               symbols: int = 10, chains: int = 8192, chain_steps: int = 400) -> Stages:
    loss = partial(next_token, z=1e-4)
    source = Chains.of(symbols, chains)
    model = Palm.of(Size(symbols, layers=3, embed=64, heads=2, head=32))
    yield Experiment(
        stage="markov",
        model=model,
        loss=loss,
        data=source.learned,
        held_out=source.held_out,
        rows=64,
        steps=chain_steps,
        optimizer=muon(model, warmup_cosine(rate, chain_steps, warmup=chain_steps // 10), adam=0.3),
        corpus="a Markov source of order 2",
        expects=[Expectation("nats", threshold=source.best + 0.02, baseline=source.bigram)])

    text = Reference.of(vocab, length)
    model = Palm.of(Size(text.tokenizer.size, layers, embed, heads, head, mlp=mlp), dropout)
    yield Experiment(
        stage="reference",
        model=model,
        loss=loss,
        data=text.learned,
        held_out=text.held_out,
        tokenizer=text.tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3, rates={"tokens.table": 3.0}),
        measures=[rescaled("bits_per_byte", "nats", text.bits)],
        corpus="the Python reference",
        expects=[Expectation("bits_per_byte", threshold=2.1, baseline=text.five_gram)],
        shows=[continuation(text.tokenizer, "The import statement", 60)])


if __name__ == "__main__":
    main(experiment)
