"""One engine for every model: exact, independent of padding and neighbours, and compiled as seldom as can be."""
import contextlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draws
from tables import Tables
from tiny import SPECS, sharp

from transformer.decoding import (
    Contrastive,
    Draft,
    Greedy,
    Lookup,
    Sample,
    Speculative,
    advance,
    begin,
    generate,
    pieces,
    ready,
    stream,
)
from transformer.decoding import processors as rules
from transformer.decoding.carried import Carried
from transformer.decoding.engine import question, searching
from transformer.decoding.text import Asked
from transformer.mistakes import Mistake
from transformer.models import bart, gpt2, llama, t5, whisper

MODEL, OTHER = Tables.random(12, seed=3), Tables.random(12, seed=4)
FAMILIES = {name: ready(sharp(SPECS[name])) for name in ("gpt2", "llama", "t5")}
MOST = 6
PROMPTS = draws.lists(draws.lists(draws.integers(0, 63), min_size=2, max_size=8), min_size=3, max_size=3)
slow = lambda *values: pytest.param(*values, marks=pytest.mark.slow)
few = settings(max_examples=5, deadline=None, derandomize=True)

SOURCE, SEEN = np.arange(24).reshape(3, 8) % 23 + 5, np.arange(8)[None] < np.asarray([[8], [5], [2]])


@jax.jit
def encoded(model: Any) -> Any:
    return model.encode(SOURCE, present=SEEN)


@jax.jit
def uncached(model: Any, tokens: Any) -> Any:
    return jax.nn.log_softmax(model(SOURCE, tokens, present=SEEN) if hasattr(model, "encode") else model(tokens))


def source_of(model: Any) -> dict[str, Any]:
    return {"memory": encoded(model), "seen": SEEN} if hasattr(model, "encode") else {}


def each_way(rows: list[list[int]]) -> dict[str, tuple[Any, Any]]:
    """The same prompts as lists, padded on the left and on the right."""
    longest = max(map(len, rows))
    left = np.asarray([[7] * (longest - len(row)) + row for row in rows])
    right = np.asarray([row + [7] * (longest - len(row)) for row in rows])
    there = np.arange(longest)[None] < np.asarray([[len(row)] for row in rows])
    return {"lists": (rows, None), "left": (left, there[:, ::-1]), "right": (right, there)}


@pytest.mark.parametrize("name", [slow("gpt2"), "llama", slow("t5")])
@few
@given(prompts=PROMPTS)
def test_a_text_is_what_the_model_without_a_cache_would_say(name, prompts):
    model = FAMILIES[name]
    got = [generate(model, *prompt, most=MOST, **source_of(model)) for prompt in each_way(prompts).values()]
    for other in got[1:]:
        np.testing.assert_array_equal(got[0].tokens, other.tokens)
    whole = np.zeros((3, 14), np.int32)
    for row, (prompt, (text,)) in enumerate(zip(prompts, got[0].texts(), strict=True)):
        whole[row, : len(prompt) + MOST] = prompt + text
    logprobs = np.asarray(uncached(model, whole))
    for row, prompt in enumerate(prompts):
        said = logprobs[row, len(prompt) - 1 : len(prompt) - 1 + MOST]
        np.testing.assert_array_equal(said.argmax(-1), got[0].tokens[row, 0])
        np.testing.assert_allclose(said.max(-1), got[0].logprobs[row, 0], atol=1e-5 * abs(logprobs).max())


@few
@given(prompts=PROMPTS, seed=draws.integers(0, 9))
def test_a_row_does_not_depend_on_its_neighbours_and_the_seed_decides(prompts, seed):
    model, strategy = FAMILIES["llama"], Sample(0.9, top_p=0.95)

    def said(prompts: Any, seed: int) -> np.ndarray:
        return generate(model, prompts, most=MOST, strategy=strategy, key=jax.random.key(seed)).tokens

    first = said(prompts, seed)
    np.testing.assert_array_equal(first, said(prompts, seed))
    np.testing.assert_array_equal(first[1], said([[5] * 3, prompts[1], [9] * 8], seed)[1])
    assert not np.array_equal(first, said(prompts, seed + 10))


@pytest.mark.parametrize("strategy", [Greedy(), Sample(0.8), slow(Contrastive(3)), slow(Speculative(Lookup(1))), slow(Speculative(Draft(OTHER), Sample()))],
                         ids=["greedy", "sample", "contrastive", "lookup", "draft"])
def test_a_row_says_in_a_batch_what_it_says_alone(strategy):
    """Also when it ends before or after the others; its key is its own."""
    model = FAMILIES["gpt2"] if isinstance(strategy, Contrastive) else MODEL
    prompts, keys = [[1, 4, 6], [9, 2], [3, 3, 3, 3]], jax.random.split(jax.random.key(0), 3)
    together = generate(model, prompts, most=8, strategy=strategy, ends=[2, 8], key=keys).texts()
    for row in range(3):
        alone = generate(model, prompts[row : row + 1], most=8, strategy=strategy, ends=[2, 8], key=keys[row : row + 1])
        assert alone.texts()[0] == together[row]


@few
@given(prompts=draws.lists(draws.lists(draws.integers(0, 11), min_size=2, max_size=8), min_size=3, max_size=3))
def test_keeping_everything_is_plain_sampling(prompts):
    key = jax.random.key(1)
    plain, cut = (generate(MODEL, prompts, most=MOST, strategy=strategy, key=key)
                  for strategy in (Sample(), Sample(top_k=12, top_p=1.0, min_p=0.0)))
    np.testing.assert_array_equal(plain.tokens, cut.tokens)


def test_a_row_stops_at_its_end_and_the_rest_is_padding():
    got = generate(MODEL, [[1, 4, 6], [9], [3, 3]], most=30, ends=[2, 8], pad=77)
    assert len(set(got.lengths[:, 0])) > 1
    for tokens, length in zip(got.tokens[:, 0], got.lengths[:, 0], strict=True):
        assert (tokens[length:] == 77).all() and not np.isin(tokens[: length - 1], [2, 8]).any()
        assert length == 30 or tokens[length - 1] in (2, 8)


def chances_of_three() -> np.ndarray:
    """How likely TINY says each of the 64 texts of three tokens after [1, 2], from its tables."""
    def after(token: int, before: int, position: int) -> np.ndarray:
        return np.asarray(jax.nn.softmax(TINY.logits_of(token, before, position)), np.float64)

    p = np.zeros((4, 4, 4))
    for a, first in enumerate(after(2, 1, 1)):
        for b, second in enumerate(after(a, 2, 2)):
            p[a, b] = first * second * after(b, a, 3)
    return p.reshape(-1)


TINY, TINY_DRAFT = Tables.random(4, seed=1, scale=0.7), Tables.random(4, seed=2, scale=0.7)
LIMIT = 110  # a chi-squared of 63 degrees of freedom is above it once in 5000 times; the seeds are fixed


@pytest.mark.parametrize("strategy", [Sample(), Speculative(Draft(TINY_DRAFT), Sample(), ahead=2), slow(Speculative(Lookup(1), Sample(), ahead=2))],
                         ids=["sample", "draft", "lookup"])
def test_twenty_thousand_draws_are_distributed_as_the_model_says(strategy):
    got = generate(TINY, np.tile([[1, 2]], (20_000, 1)), most=3, strategy=strategy, key=jax.random.key(5))
    counts = np.bincount(got.tokens[:, 0] @ [16, 4, 1], minlength=64)
    expected = 20_000 * chances_of_three()
    assert expected.min() > 4
    assert ((counts - expected) ** 2 / expected).sum() < LIMIT


@pytest.mark.parametrize("guesser", [slow(Draft(OTHER)), slow(Draft(MODEL)), slow(Lookup()), Lookup(1)], ids=["other", "same", "lookup 2", "lookup 1"])
def test_whoever_guesses_the_text_is_the_models(guesser):
    prompts = [[1, 4, 6], [9, 2], [3, 3, 3, 3]]
    plain, quick = (generate(MODEL, prompts, most=20, strategy=strategy, ends=8) for strategy in (Greedy(), Speculative(guesser)))
    np.testing.assert_array_equal(plain.tokens, quick.tokens)
    np.testing.assert_allclose(plain.logprobs, quick.logprobs, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), [("llama", 0), ("gpt2", 0), ("gpt2", 1)])
def test_a_transformer_forgets_the_guesses_that_were_wrong(name, seed):
    """Up to the last position it has; and a draft that is always right asks the model once for every five tokens."""
    model, draft = FAMILIES[name], ready(sharp(SPECS[name], seed))
    prompts, search = [[3, 7, 20, 5], [9, 8, 1], [4, 4]], Speculative(Draft(draft))
    plain, quick = (generate(model, prompts, most=12, strategy=strategy) for strategy in (Greedy(), search))
    np.testing.assert_array_equal(plain.tokens, quick.tokens)
    state = advance(model, search, (), begin(model, search, question(model, search, prompts, None, 12, (), None, None, None)), 12)
    rounds = np.asarray(state.rounds)
    assert (rounds > 3).all() if seed else (rounds == 3).all()


@pytest.mark.parametrize("model", [FAMILIES["llama"], MODEL], ids=["by forgetting", "by reading again"])
def test_what_was_read_in_vain_leaves_no_trace(model):
    def after_two_of_four(model: Any) -> tuple[Any, Any]:
        carried = Carried.prefilled(model, Asked(np.asarray([[1, 4, 6]]), 9, (), jax.random.key(0), length=16))
        read = np.asarray([[6, 3, 5, 8]])
        kept = Draft(model).keep(carried, carried.decode(model, read)[1], read, 2)
        return kept.decode(model, np.asarray([[7]]))[0][:, -1], carried.decode(model, np.asarray([[6, 3, 7]]))[0][:, -1]

    got, want = jax.jit(after_two_of_four)(model)
    np.testing.assert_allclose(got, want, atol=1e-5 * abs(want).max())


def test_contrastive_search_is_likely_and_unlike_what_was_said():
    model, prompts, k, alpha = FAMILIES["gpt2"], [[3, 7, 20, 5], [9, 9]], 4, 0.6
    got = generate(model, prompts, most=5, strategy=Contrastive(k, alpha)).texts()
    read = jax.jit(lambda model, tokens: (model.hidden(tokens), jax.nn.softmax(model(tokens))))

    def whole(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        hidden, chances = read(model, np.asarray([row + [0] * (12 - len(row)) for row in rows]))
        return np.asarray(hidden) / np.linalg.norm(hidden, axis=-1, keepdims=True), np.asarray(chances)

    for prompt, (text,) in zip(prompts, got, strict=True):
        said = list(prompt)
        for _ in range(5):
            chances = whole([said] * k)[1][0, len(said) - 1]
            candidates = np.argsort(-chances)[:k]
            states = whole([[*said, int(token)] for token in candidates])[0][:, : len(said) + 1]
            likeness = np.einsum("ksd,kd->ks", states[:, :-1], states[:, -1]).max(-1)
            said.append(int(candidates[((1 - alpha) * chances[candidates] - alpha * likeness).argmax()]))
        assert said[len(prompt):] == text


@pytest.fixture
def compiled() -> Any:
    """The names of the programs compiled since the test began."""
    names: list[str] = []

    def note(event: str, seconds: float, **facts: Any) -> None:
        if event.endswith("backend_compile_duration"):
            names.append(str(facts.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    jax.monitoring.unregister_event_duration_listener(note)


@pytest.mark.slow
def test_two_hundred_lengths_and_numbers_compile_nine_times_at_most(compiled):
    """Prompts of 1 to 200 tokens, each with its own temperature, k, p, penalty and number of new tokens."""
    model, key = Tables.random(13), jax.random.key(0)
    compiled.clear()
    for length in range(1, 201):
        strategy = Sample(1 if length == 1 else 0.5 + length / 200, top_k=1 + length % 12, top_p=length / 200)
        generate(model, [[1] * length], most=1 + length % 12, strategy=strategy, ends=3, key=key,
                 processors=[rules.RepetitionPenalty(1 + length / 200)])
    assert 2 <= len(compiled) <= 9, compiled


def test_nothing_is_decoded_once_all_rows_have_ended():
    always = MODEL.replace(now=MODEL.now.at[:, 2].set(100.0))
    asked = question(always, searching(Greedy()), [[1, 3], [4, 5]], None, 20, 2, None, None, None)
    state = advance(always, searching(Greedy()), (), begin(always, searching(Greedy()), asked), 20)
    assert int(state.text.new) == 1


def test_the_cache_is_donated():
    """Every array that the loop carries comes out in the memory it came in."""
    model, search = FAMILIES["llama"], searching(Greedy())
    state = begin(model, search, question(model, search, [[1, 2, 3]] * 3, None, MOST, (), None, None, None))
    program = advance.lower(model, search, (), state, MOST).compile()
    aliases = re.search(r"input_output_alias=\{(.*?)\}, entry", program.as_text())
    assert aliases and len(re.findall(r"may-alias|must-alias", aliases[1])) == len(jax.tree.leaves(state))
    assert program.memory_analysis().alias_size_in_bytes >= sum(x.nbytes for x in jax.tree.leaves(state.carried))


def test_a_stream_says_what_generate_says():
    kinds = {"most": 9, "strategy": Sample(0.8), "ends": 2, "key": jax.random.key(5)}
    decode = lambda tokens: "".join(chr(65 + token) for token in tokens)
    whole = generate(MODEL, [[1, 4]], **kinds).texts()[0][0]
    assert len(whole) > 5
    for every in (1, 4):
        assert "".join(stream(MODEL, [1, 4], decode, every=every, **kinds)) == decode(whole)
    assert len(list(stream(MODEL, [1, 4], decode, **kinds))) == len(whole)


@few
@given(text=draws.text(max_size=12), cut=draws.integers(1, 3))
def test_no_piece_of_a_stream_ends_in_half_a_character(text, cut):
    ids = list(text.encode())
    chunks = [ids[at : at + cut] for at in range(0, len(ids), cut)]
    got = list(pieces(iter(chunks), lambda ids: bytes(ids).decode("utf-8", "replace")))
    assert "".join(got) == text
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in got) or "\N{REPLACEMENT CHARACTER}" in text


def test_what_never_becomes_a_character_is_shown_in_the_end():
    assert "".join(pieces(iter([[72], [195]]), lambda ids: bytes(ids).decode("utf-8", "replace"))) == "H\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(("what", "message"), [
    ({"prompt": []}, "no prompt"),
    ({"prompt": [[1], []]}, "prompt 1 is empty"),
    ({"prompt": [[1, -100]]}, "has the token -100"),
    ({"prompt": [[1, 12]]}, "token 12 is outside the vocabulary of 12"),
    ({"prompt": [[1]], "most": 0}, "`most` is 0"),
    ({"prompt": [[1]], "strategy": "greedy"}, "is no strategy"),
    ({"prompt": [[1, 2]], "present": [[True]]}, "must mark each token"),
    ({"prompt": [[1]], "memory": np.zeros((2, 3))}, "1 prompts but 2 sources"),
    ({"prompt": [[1]], "strategy": Contrastive()}, "has no `logits"),
])
def test_a_mistake_is_named(what, message):
    with pytest.raises(Mistake, match=message):
        generate(**{"model": MODEL, "most": 3, **what})


BART = bart.Bart.of(bart.Size(vocab=64, length=16, layers=1, embed=32, heads=4, mlp=48))
WHISPER = whisper.Whisper.of(whisper.Size(vocab=64, mels=4, frames=8, length=16, layers=1, embed=32, heads=4, mlp=48))


def test_a_text_longer_than_the_positions_is_refused_and_one_that_fits_is_not():
    model = FAMILIES["gpt2"]
    assert generate(model, [[1] * 10, [2]], most=6).tokens.shape == (2, 1, 6)
    with pytest.raises(Mistake, match="a prompt of 10 tokens and 7 new ones need 17 positions, but the model has 16"):
        generate(model, [[2], [1] * 10], most=7)


@pytest.mark.parametrize("spec", [SPECS["gpt2"], SPECS["bert"].bert, BART, WHISPER, SPECS["llama"], SPECS["t5"]],
                         ids=["gpt2", "bert", "bart", "whisper", "llama", "t5"])
def test_a_row_longer_than_the_positions_is_refused(spec):
    """Where positions are learned: what lies beyond them would be no number."""
    endless, tokens = isinstance(spec, llama.Llama | t5.T5), jnp.zeros((1, 17), jnp.int32)
    assert getattr(spec, "longest", None) == (16 if isinstance(spec, gpt2.GPT2 | bart.Bart | whisper.Whisper) else None)
    source = jnp.zeros((1, 16, 4)) if spec is WHISPER else tokens[:, :16]

    def read(model: Any) -> Any:
        if hasattr(model, "decode"):
            return model(source, tokens) if hasattr(model, "encode") else model(tokens)
        return model.encode(tokens)

    with contextlib.nullcontext() if endless else pytest.raises(Mistake, match="17 tokens need as many positions, but the model has 16"):
        jax.eval_shape(read, jax.tree.map(lambda w: jax.ShapeDtypeStruct(w.shape, w.dtype), spec))


def test_a_source_longer_than_the_positions_is_refused():
    with pytest.raises(Mistake, match="17 tokens need as many positions"):
        jax.eval_shape(lambda: sharp(BART).encode(jnp.zeros((1, 17), jnp.int32)))


def test_speculation_writes_one_text_a_prompt():
    with pytest.raises(Mistake, match="one text for each prompt, not 2"):
        Speculative(Lookup(), Sample(count=2))


def test_many_samples_of_a_prompt_differ():
    many = generate(MODEL, [[1, 4, 6], [9, 2]], most=8, strategy=Sample(count=5), key=jax.random.key(0))
    assert many.tokens.shape == (2, 5, 8)
    assert all(len({tuple(text) for text in texts}) == 5 for texts in many.texts())
