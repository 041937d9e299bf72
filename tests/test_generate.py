"""`python -m transformer generate`: any strategy, of any model that can speak; and what cannot work is told in one sentence."""
import json
import shutil

import jax
import numpy as np
import pytest
from little import experiment
from speakers import TOKENIZER
from test_command_line import told
from tiny import sharp

from transformer import generate as command
from transformer import speaker
from transformer.__main__ import main
from transformer.decoding import Beams, Contrastive, Greedy, Sample, generate
from transformer.generate import Rules, Task
from transformer.huggingface import load, save
from transformer.mistakes import Mistake
from transformer.models import captioner, latents, marian, rnn, spectrogram, vqvae
from transformer.recurrent import GRU
from transformer.speaker import Speaker
from transformer.strategy import Search, named, strategy
from transformer.training.run import guarded, run
from transformer.training.trained import trained


@pytest.fixture(scope="module")
def run_of_ours(tmp_path_factory):
    return run(experiment, {"length": 32}, runs=tmp_path_factory.mktemp("runs"))


def ours(place, name, texts, **given):
    """The same from Python."""
    model, tokenizer, *_ = load(place / name)
    found = generate(model, [tokenizer.encode(text) for text in texts], ends=2, **given)
    return [[tokenizer.decode(text) for text in row] for row in found.texts()], found.scores


def prompts(folder, *texts):
    (folder / "prompts.txt").write_text("\n".join(texts))
    return ["--file", str(folder / "prompts.txt")]


@pytest.mark.parametrize("words, strategy", [
    ([], Greedy()), (["--strategy", "greedy"], Greedy()), (["--beams", "3"], Beams(3)),
    (["--strategy", "beam", "--length-penalty", "0.5", "--early", "full"], Beams(4, length_penalty=0.5, early="full")),
    (["--groups", "2", "--beams", "2"], Beams(2, groups=2, diversity=0.5))])
def test_a_strategy_is_named_or_found_out(place, said, words, strategy):
    (((text, *_),), _) = ours(place, "decoder", ["def f"], most=6, strategy=strategy)
    assert said(place, "decoder", "--prompt", "def f", "--most", "6", *words) == f"def f{text}\n"


@pytest.mark.parametrize("settings, meant", [
    ({"num_beams": 1, "num_beam_groups": 2}, Greedy()), ({"do_sample": True, "penalty_alpha": 0.6, "top_k": 4}, Sample(top_k=4)),
    ({"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.7}, Beams(4, groups=2, diversity=0.7)),
    ({"penalty_alpha": 0.7, "top_k": 6}, Contrastive(6, 0.7)), ({"penalty_alpha": 0.7}, Contrastive(50, 0.7)),
    ({"penalty_alpha": 0.7, "top_k": 1}, Greedy()), ({"penalty_alpha": 0.0, "top_k": 6}, Greedy())])
def test_the_file_asks_for_a_search_in_transformers_words(settings, meant):
    assert strategy(named(Search(), settings), Search(), settings, 1) == meant


def test_what_the_file_asks_for_and_there_is_not_is_refused():
    both = {"num_beams": 4, "do_sample": True}
    with pytest.raises(Mistake, match="beams that are drawn .num_beams 4 with do_sample.*choose --strategy beam or sample"):
        named(Search(), both)
    assert [named(Search(strategy=way), both) for way in ("beam", "sample")] == ["beam", "sample"]
    task = Task(Speaker("a", None, None, {}), Greedy(), {"encoder_no_repeat_ngram_size": 2}, None, 0)
    with pytest.raises(Mistake, match="generation_config.json: the setting encoder_no_repeat_ngram_size = 2 is not supported;"):
        task._processors(None)


def test_samples_are_those_of_their_seed(place, said):
    words = ["--prompt", "ab", "--most", "6", "--top-p", "0.9", "--temperature", "1.5", "--count", "3"]
    first, other = (said(place, "decoder", *words, "--seed", seed) for seed in "12")
    assert first == said(place, "decoder", *words, "--seed", "1") != other
    key = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), np.arange(1))
    (texts,), (scores,) = ours(place, "decoder", ["ab"], most=6, strategy=Sample(1.5, top_p=0.9, count=3), key=key)
    assert first == "".join(f"--- {n}: score {score:.3f}\nab{text}\n" for n, (text, score) in enumerate(zip(texts, scores, strict=True), 1))


@pytest.mark.parametrize("words", [[], ["--strategy", "sample", "--seed", "5"]])
def test_a_text_is_the_same_as_it_is_written(place, said, words):
    words = ["--prompt", "hä", "--most", "8", *words]
    assert said(place, "decoder", *words, "--stream") == said(place, "decoder", *words)


@pytest.mark.slow
def test_a_file_of_prompts_gives_a_line_for_each(place, said, tmp_path):
    texts = ["a", "a much longer prompt", "two"]
    (tmp_path / "prompts.txt").write_text("\n".join(texts) + "\n\n")
    for count, words in ((1, ["--most", "5"]), (2, ["--most", "5", "--strategy", "sample", "--count", "2"])):
        said(place, "decoder", "--file", str(tmp_path / "prompts.txt"), "--out", str(tmp_path / "out.jsonl"), "--rows", "2", *words)
        lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [line["prompt"] for line in lines] == texts
        assert all(len(line[name]) == count for line in lines for name in ("texts", "scores", "tokens"))
        alone = said(place, "decoder", "--prompt", texts[0], *words)
        assert all(f"{texts[0]}{text}\n" in alone for text in lines[0]["texts"])
    greedy = said(place, "decoder", "--file", str(tmp_path / "prompts.txt"), "--most", "5")
    expected, scores = ours(place, "decoder", texts, most=5)
    assert [json.loads(line)["texts"] for line in greedy.splitlines()] == expected
    np.testing.assert_allclose([json.loads(line)["scores"] for line in greedy.splitlines()], scores, rtol=1e-5)


@pytest.mark.slow
def test_a_source_is_answered(place, said):
    model, tokenizer, *_ = load(place / "answerer")
    source = tokenizer.encode("what is it")[None]
    found = generate(model, [[0]], most=6, ends=2, memory=jax.jit(lambda model: model.encode(source))(model), strategy=Beams(2))
    assert said(place, "answerer", "--prompt", "what is it", "--beams", "2", "--most", "6") == tokenizer.decode(found.texts()[0][0]) + "\n"


@pytest.mark.slow
def test_the_first_token_may_be_the_end(said, tmp_path):
    """As Marian has it: a text stops there, though not before it is as long as was asked for."""
    model = sharp(marian.marian(marian.Size(TOKENIZER.tokens, layers=1, embed=16, heads=2, mlp=16)))
    save(tmp_path / "marian", model.replace(bias=model.bias.at[0].set(99.0)), TOKENIZER)
    assert speaker.opened(str(tmp_path / "marian")).ends == [0]
    line = json.loads(said(tmp_path, "marian", *prompts(tmp_path, "x"), "--most", "6", "--min-new", "3"))
    assert len(line["tokens"][0]) == 4 and line["tokens"][0].index(0) == 3


@pytest.mark.slow
def test_recurrent_cells_answer_as_well(said, tmp_path, monkeypatch):
    model = sharp(rnn.RNN.of(rnn.Size(TOKENIZER.tokens, embed=8, state=6, align=5), rnn.Bahdanau, GRU))
    own = Speaker("a", model, TOKENIZER, {"decoder_start_token_id": 1, "eos_token_id": 2}, (2,))
    monkeypatch.setattr(speaker, "opened", lambda name: own)
    lines = [json.loads(line) for line in said(tmp_path, "a", *prompts(tmp_path, "abc", "d"), "--most", "4").splitlines()]
    for text, line in zip(("abc", "d"), lines, strict=True):
        memory = model.encode(np.asarray([[*TOKENIZER.encode(text), 2]]))
        assert line["tokens"] == generate(model, [[1]], most=4, ends=2, memory=memory).texts()[0]


def test_what_looks_at_pictures_is_not_told_words(monkeypatch):
    spec = captioner.Captioner.of(captioner.Size(8, 4, layers=1, embed=8, heads=2, mlp=8))
    monkeypatch.setattr(speaker, "opened", lambda name: Speaker(name, spec, TOKENIZER, {}))
    with pytest.raises(Mistake, match="runs/captions is a Captioner, which looks at pictures"):
        command._task("runs/captions", Search(), Rules(), None, 1, 0)


@pytest.mark.parametrize("spec", [
    vqvae.VQVAE.of(vqvae.Size()), latents.Latents.of(latents.Size()), spectrogram.Spectrogram.of(spectrogram.Size())],
    ids=lambda spec: type(spec).__name__)
def test_what_says_no_tokens_is_refused(spec):
    with pytest.raises(Mistake, match=f"a is a {type(spec).__name__}, which says no tokens"):
        speaker._speaking(Speaker("a", spec, None, {}))


def test_tokens_go_in_and_out_without_a_tokenizer(place, said):
    out = said(place, "mute", "--tokens", "5, 6,7", "--most", "4")
    assert out.startswith("5 6 7 ") and len(out.split()) == 7
    assert said(place, "mute", "--tokens", "5 6 7", "--most", "4", "--stream") == out


def test_rules_are_kept(place, said):
    words = ["--tokens", "70", "--most", "12", "--no-repeat", "1"]
    out = said(place, "mute", *words).split()
    assert len(set(out)) == len(out) == 13
    own = Speaker("a", None, TOKENIZER, {})
    a, b, space = TOKENIZER.encode("ab ").tolist()
    assert Rules(bad_words="a, b", min_new=3, repetition_penalty=1.5).settings(own) == {
        "bad_words_ids": [[space, a], [space, b], [a], [b]], "min_new_tokens": 3, "repetition_penalty": 1.5}


@pytest.mark.slow
def test_the_file_says_what_nobody_else_does(place, said, tmp_path):
    """Beams, lengths and rules of generation_config.json hold, and what is given comes before them."""
    shutil.copytree(place / "decoder", tmp_path / "own")
    model, *_ = load(place / "decoder")
    likeliest = int(generate(model, [TOKENIZER.encode("def")], most=1).tokens[0, 0, 0])
    (tmp_path / "own" / "generation_config.json").write_text(json.dumps(
        {"eos_token_id": 2, "num_beams": 3, "early_stopping": True, "max_new_tokens": 4, "suppress_tokens": [likeliest], "temperature": 0.5}))
    as_file = said(tmp_path, "own", "--prompt", "def")
    given = ["--prompt", "def", "--most", "4"]
    assert as_file == said(tmp_path, "own", *given, "--beams", "3", "--early", "full")
    assert as_file == said(tmp_path, "own", *given, "--strategy", "beam")
    greedy = said(tmp_path, "own", *given, "--strategy", "greedy")
    plain = said(place, "decoder", *given)
    assert greedy != plain and plain.startswith(f"def{TOKENIZER.decode([likeliest])}") and not greedy.startswith(f"def{TOKENIZER.decode([likeliest])}")


@pytest.mark.slow
@pytest.mark.parametrize("words, strategy", [
    (["--alpha", "0.5"], Contrastive(4, 0.5)), (["--ngram", "2"], Greedy()), (["--draft"], Greedy())])  # the last two only faster
def test_the_other_strategies_speak_as_well(place, said, words, strategy):
    words = [*words, str(place / "smaller")] if words == ["--draft"] else words
    (((text, *_),), _) = ours(place, "decoder", ["ab ab ab"], most=6, strategy=strategy)
    assert said(place, "decoder", "--prompt", "ab ab ab", "--most", "6", *words) == f"ab ab ab{text}\n"


@pytest.mark.slow
def test_lookup_may_draw_and_the_seed_repeats_it(place, said):
    words = ["--prompt", "ab ab ab", "--most", "6", "--strategy", "lookup", "--temperature", "0.8"]
    out = said(place, "decoder", *words)
    assert out.startswith("ab ab ab") and out == said(place, "decoder", *words)


@pytest.mark.slow
def test_a_run_speaks(run_of_ours, said):
    folder = run_of_ours.folder
    built, model = trained(folder)
    assert built.tokenizer is not None
    tokens = built.tokenizer.encode("The ")
    found = generate(model, [tokens], most=6, ends=built.tokenizer.end)
    for name in (folder, folder.parent):
        assert said(name, ".", "--prompt", "The ", "--most", "6") == "The " + built.tokenizer.decode([*tokens, *found.texts()[0][0]])[4:] + "\n"


WRONG = [
    ("nowhere", ["--prompt", "x"], ["there is no directory", "nowhere"]),
    (".", ["--prompt", "x"], ["neither a model (config.json) nor a run"]),
    ("decoder", [], ["give one of them", "--prompt"]),
    ("decoder", ["--prompt", "x", "--tokens", "1"], ["give one of them"]),
    ("decoder", ["--prompt", ""], ["the prompt is empty", "no token that texts start with"]),
    ("answerer", ["--prompt", ""], ["the prompt is empty"]),
    ("decoder", ["--tokens", "1,two"], ["--tokens '1,two' is no list of numbers"]),
    ("decoder", ["--tokens", ""], ["prompt 0 is empty"]),
    ("decoder", ["--tokens", "1,999"], ["token 999 is outside the vocabulary of 261"]),
    ("decoder", ["--tokens", "1,-2"], ["token -2"]),
    ("decoder", ["--tokens", "5 " * 64], ["the prompt has 64 tokens, and the model no more than 64 positions", "shorten it"]),
    ("decoder", ["--tokens", "5", "--most", "64"], ["need 65 positions, but the model has 64", "ask for fewer"]),
    ("answerer", ["--tokens", "999"], ["token 999 is outside the vocabulary of 261"]),
    ("answerer", ["--tokens", "-1"], ["none below 0"]),
    ("mute", ["--prompt", "x"], ["has no tokenizer.json", "--tokens 1,2,3"]),
    ("mute", ["--tokens", "5", "--bad-words", "x"], ["has no tokenizer.json", "leave it out"]),
    ("decoder", ["--prompt", "x", "--bad-words", " ,"], ["--bad-words ' ,' holds no word", '--bad-words "this,that"']),
    ("encoder", ["--prompt", "x"], ["is a Pretraining, which says no tokens", "give a decoder"]),
    ("decoder", ["--prompt", "x", "--beams", "0"], ["the number of beams is 0; it must be at least 1"]),
    ("decoder", ["--prompt", "x", "--top-p", "0"], ["top_p is 0.0; it must be above 0 and at most 1"]),
    ("decoder", ["--prompt", "x", "--top-p", "1.5"], ["top_p is 1.5"]),
    ("decoder", ["--prompt", "x", "--temperature", "0"], ["the temperature is 0.0; it must be above 0"]),
    ("decoder", ["--prompt", "x", "--most", "0"], ["--most is 0; it must be at least 1"]),
    ("decoder", ["--prompt", "x", "--count", "0", "--beams", "2"], ["--count 0 texts"]),
    ("decoder", ["--prompt", "x", "--count", "2"], ["greedy gives one text for a prompt, not 2"]),
    ("decoder", ["--prompt", "x", "--count", "3", "--beams", "2"], ["the count is 3", "at most 2"]),
    ("decoder", ["--prompt", "x", "--strategy", "nuclear"], ["no strategy 'nuclear' (did you mean nucleus?); there are greedy, sample"]),
    ("decoder", ["--prompt", "x", "--strategy", "nucleus", "--beams", "2"],
     ["--beams says nothing to --strategy nucleus", "choose beam or diverse"]),
    ("decoder", ["--prompt", "x", "--top-p", "0.9", "--beams", "2"], ["--top-p, --beams belong to no one strategy", "--beams is for beam, diverse"]),
    ("decoder", ["--prompt", "x", "--early", "soon"], ["`early` is 'soon'"]),
    ("decoder", ["--prompt", "x", "--stream", "--beams", "2"], ["--stream shows one text as it grows", "not beam"]),
    ("decoder", ["--prompt", "x", "--stream", "--strategy", "sample", "--count", "2"], ["not 2 texts"]),
    ("decoder", ["--prompt", "x", "--stream", "--explain"], ["--stream and --explain do not go together"]),
    ("decoder", ["--prompt", "x", "--explain", "--ngram", "2"], ["--explain shows greedy, sampled and beam searches, not lookup"]),
    ("decoder", ["--prompt", "x", "--explain", "--most", "2", "--out", "no/such/folder.png"], ["cannot be written to no/such/folder.png"]),
    ("decoder", ["--prompt", "x", "--out", "a.txt"], ["--out is where --file"]),
    ("decoder", ["--prompt", "x", "--layers", "2"], ["no knob '--layers'", "there are"]),
    ("decoder", ["--prompt", "x", "--strategy", "speculative"], ["give one, as in --draft DIR"]),
    ("decoder", ["--prompt", "x", "--repetition-penalty", "0"], ["the repetition penalty is 0"]),
    ("decoder", ["--file", "no.txt"], ["no.txt cannot be read"]),
]


@pytest.mark.parametrize("name, words, parts", WRONG, ids=[" ".join([name, *words]) for name, words, _ in WRONG])
def test_what_cannot_work_is_told_in_one_sentence(place, capsys, name, words, parts):
    if "--explain" in words and "--out" in words:
        with pytest.raises(SystemExit):  # after it has printed what it explains
            raise SystemExit(guarded_status(place, name, words))
        complained = capsys.readouterr().err
        assert all(part in complained for part in parts) and len(complained.splitlines()) == 1
        return
    line = told(capsys, 2, lambda: main(["generate", str(place / name), *words]))
    assert all(part in line for part in parts), line


def guarded_status(place, name, words):
    return guarded(lambda: main(["generate", str(place / name), *words]))


def test_drafts_must_speak_the_same_language(place, capsys):
    for draft, part in (("foreign", "it must be a smaller model with the same tokenizer"), ("answerer", "is an encoder-decoder")):
        words = ["generate", str(place / "decoder"), "--prompt", "x", "--draft", str(place / draft)]
        assert part in told(capsys, 2, lambda: main(words))


@pytest.mark.slow
def test_a_run_that_cannot_be_used_is_told_in_one_sentence(run_of_ours, tmp_path, capsys):
    def wrong(change):
        folder = tmp_path / change.__name__
        shutil.copytree(run_of_ours.folder, folder)
        change(folder)
        return told(capsys, 2, lambda: main(["generate", str(folder), "--prompt", "x"]))

    def without_checkpoints(folder):
        shutil.rmtree(folder / "checkpoints")

    def with_an_empty_folder(folder):
        shutil.rmtree(folder / "checkpoints")
        (folder / "checkpoints").mkdir()

    def without_its_source(folder):
        (folder / "experiment.py").unlink()

    def of_half_a_source(folder):
        (folder / "experiment.py").write_text("def experiment(length=1, layers=1, embed=1, rows=1, rate=1., dropout=0., steps=1, file=None):\n    return GPT")

    def of_another_model(folder):
        written = json.loads((folder / "knobs.json").read_text())
        (folder / "knobs.json").write_text(json.dumps({**written, "experiment": {**written["experiment"], "embed": 32}}))

    assert "has no checkpoints" in wrong(without_checkpoints)
    assert "there is none yet" in wrong(with_an_empty_folder)
    assert "the experiment's own source" in wrong(without_its_source)
    assert "cannot be run again by itself" in wrong(of_half_a_source)
    assert "is of another model or optimizer" in wrong(of_another_model)


def test_help_is_at_hand(capsys):
    for words in (["generate", "--help"], ["generate", "gpt2", "--help"]):
        assert main(words) == 0
        assert "--strategy greedy | sample" in capsys.readouterr().out
