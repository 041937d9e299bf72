"""GPT-2: predict the next token; on a Markov source as well as can be, then on the Python reference.

    python -m experiments gpt2        two cores: on the source 1.198 nats, where 1.188 is the best possible;
                                      on the reference 2.05 bits per byte, a byte 5-gram reaches 2.13
"""
from transformer.data.reference import Chains, Reference
from transformer.losses import next_token
from transformer.models.gpt2 import GPT2, Size
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation, rescaled

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "chains": 64}


def experiment(layers: int = 4, embed: int = 192, heads: int = 6, length: int = 128, rows: int = 16, vocab: int = 1024,
               rate: float = 1e-2, dropout: float = 0.1, steps: int = 400, symbols: int = 10, chains: int = 8192,
               chain_steps: int = 400) -> Stages:
    source = Chains.of(symbols, chains)
    model = GPT2.of(Size(symbols, 64, layers=2, embed=64, heads=2))
    yield Experiment(
        stage="markov",
        model=model,
        loss=next_token,
        data=source.learned,
        held_out=source.held_out,
        rows=64,
        steps=chain_steps,
        optimizer=muon(model, warmup_cosine(rate, chain_steps, warmup=chain_steps // 10), adam=0.3),
        corpus="a Markov source of order 2",
        expects=[Expectation("nats", threshold=source.best + 0.02, baseline=source.bigram)])

    text = Reference.of(vocab, length)
    model = GPT2.of(Size(text.tokenizer.size, length, layers, embed, heads), dropout)
    yield Experiment(
        stage="reference",
        model=model,
        loss=next_token,
        data=text.learned,
        held_out=text.held_out,
        tokenizer=text.tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[rescaled("bits_per_byte", "nats", text.bits)],
        corpus="the Python reference",
        expects=[Expectation("bits_per_byte", threshold=2.1, baseline=text.five_gram)],
        shows=[continuation(text.tokenizer, "The import statement", 60)])


if __name__ == "__main__":
    main(experiment)
