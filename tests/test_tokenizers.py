import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import trainers

from transformer.data import sources, tokenizers
from transformer.mistakes import Mistake

REFERENCE = sources.python_reference()
SOME = REFERENCE[:12]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "transformer"


def test_a_space_stays_with_the_word_after_it():
    assert tokenizers.split_words("Hello world") == ["Hello", " world"]
    assert tokenizers.split_words("The cat sat") == ["The", " cat", " sat"]
    assert tokenizers.words("Hello world The cat sat", 100).pieces("The cat sat") == ["The", " cat", " sat"]
    assert tokenizers.byte_pairs("Hello world The cat sat " * 9, 300).pieces("Hello world") == ["Hello", " world"]


@pytest.mark.parametrize(
    "make",
    [
        lambda texts: tokenizers.raw_bytes(),
        tokenizers.characters,
        lambda texts: tokenizers.byte_pairs(texts, 1024),
        lambda texts: tokenizers.unigrams([*SOME, *sorted(set("".join(texts)))], 512),
        lambda texts: tokenizers.words(texts, 100_000),
    ],
    ids=["raw_bytes", "characters", "byte_pairs", "unigrams", "words"],
)
def test_texts_go_there_and_back(make):
    tokens = make(REFERENCE)
    documents = tokens.documents(REFERENCE)
    assert [tokens.decode(ids) for ids in documents] == REFERENCE
    assert all(ids[-1] == tokens.end and tokens.special[ids].sum() == 1 for ids in documents)
    np.testing.assert_array_equal(tokens(REFERENCE), np.concatenate(documents))
    np.testing.assert_array_equal(tokens(REFERENCE[0]), documents[0][:-1])
    assert tokens(REFERENCE[0]).dtype == np.int32


def test_bytes_and_byte_pairs_know_every_text():
    for tokens in (tokenizers.raw_bytes(), tokenizers.byte_pairs(SOME, 300)):
        for text in ("é 日本 \x00\x7f\u2028 🙂", "  two\n\n\tthree  ", ""):
            assert tokens.decode(tokens(text)) == text
    np.testing.assert_array_equal(tokenizers.raw_bytes()("aé"), [5 + byte for byte in "aé".encode()])


def test_what_was_never_seen_is_unknown():
    assert tokenizers.characters("abc")("bz").tolist() == [6, 3]
    assert tokenizers.words("a cat", 100)(" cat dog")[1] == 3


def test_special_tokens_written_out_in_a_text_are_text():
    text = "a <s> b</s> <pad> <extra_id_0> <unk>"
    for tokens in (
        tokenizers.raw_bytes(),
        tokenizers.characters(text),
        tokenizers.byte_pairs(SOME, 300),
        tokenizers.unigrams([*SOME, text], 512, sentinels=4),
    ):
        assert not tokens.special[tokens(text)].any()
        assert tokens.decode(tokens(text)) == text


def test_word_pieces_are_numbered_as_berts():
    tokens = tokenizers.word_pieces(SOME, 600)
    assert [tokens.core.id_to_token(id) for id in range(5)] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert [tokens.pad, tokens.unknown, tokens.start, tokens.end, tokens.mask] == [0, 1, 2, 3, 4]
    ids = tokens("The Statement zq")
    assert tokens.decode(ids) == "the statement zq"
    assert tokens.continues[ids].any() and not tokens.continues[ids[0]]
    assert all(str(tokens.core.id_to_token(id)).startswith("##") == tokens.continues[id] for id in range(tokens.tokens))
    cased = tokenizers.word_pieces(SOME, 600, lowercase=False)
    assert cased.decode(cased("The Statement")) == "The Statement"


def test_unigrams_are_numbered_as_t5s():
    tokens = tokenizers.unigrams(SOME, 500, sentinels=10, multiple=128)
    assert [tokens.pad, tokens.end, tokens.unknown, tokens.start] == [0, 1, 2, 0]
    assert tokens.tokens == 500 and tokens.size == 512
    assert tokens.sentinels.tolist() == list(range(499, 489, -1))
    assert tokens.core.id_to_token(499) == "<extra_id_0>"
    assert np.flatnonzero(tokens.special).tolist() == [0, 1, 2, *range(490, 512)]
    assert tokens.decode([*tokens("a list"), 499, 510], specials=True) == "a list<extra_id_0>"


def test_the_size_divides_by_the_multiple():
    assert tokenizers.byte_pairs(SOME, 300).size == 320
    assert tokenizers.byte_pairs(SOME, 300, multiple=1).size == 300
    assert tokenizers.byte_pairs(SOME, 300, multiple=7).size == 301


def test_a_missing_role_is_a_mistake():
    with pytest.raises(Mistake, match="has no mask token, it has <pad>, </s>, <unk>: choose a kind"):
        _ = tokenizers.unigrams(SOME, 500).mask


TRAIN_ALL = """
import sys
from transformer.data import sources, tokenizers
texts = sources.python_reference()[:12]
for tokens in (tokenizers.words(texts, 300), tokenizers.byte_pairs(texts, 400), tokenizers.word_pieces(texts, 400),
               tokenizers.unigrams(texts, 400, sentinels=5)):
    print(tokens.core.to_str())
"""


def test_every_process_trains_the_same_tokenizer(tmp_path):
    def trained(home: str) -> bytes:
        settings = os.environ | {"XDG_CACHE_HOME": str(tmp_path / home), "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run([sys.executable, "-c", TRAIN_ALL], env=settings, capture_output=True, check=True).stdout

    first, *others = [trained(home) for home in "abc"]
    assert len(first) > 10_000 and others == [first, first]
    kept = [json.loads(line)["model"]["vocab"] for line in trained("a").splitlines()]
    assert kept == [json.loads(line)["model"]["vocab"] for line in first.splitlines()]


def test_what_was_trained_is_kept_and_mended(cache, monkeypatch):
    def kept():
        return set(cache.glob("byte_pairs-*"))

    before = kept()
    first = tokenizers.byte_pairs(SOME, 310)
    (file,) = kept() - before
    with monkeypatch.context() as patch:
        patch.delattr(trainers, "BpeTrainer")
        assert tokenizers.byte_pairs(SOME, 310).core.get_vocab() == first.core.get_vocab()
        with pytest.raises(AttributeError):
            tokenizers.byte_pairs(SOME, 311)
        with pytest.raises(AttributeError):
            tokenizers.byte_pairs(SOME[1:], 310)
    file.write_text(file.read_text()[:1000])
    assert tokenizers.byte_pairs(SOME, 310).core.get_vocab() == first.core.get_vocab()
    assert tokenizers.Tokenizer.load(file).core.get_vocab() == first.core.get_vocab()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))  # a file where a folder should be: nothing can be kept
    assert tokenizers.byte_pairs(SOME, 310).core.get_vocab() == first.core.get_vocab()


def test_a_tokenizer_is_saved_and_loaded(tmp_path):
    tokens = tokenizers.word_pieces(SOME, 400)
    tokens.save(tmp_path / "run" / "tokenizer.json")
    loaded = tokenizers.Tokenizer.load(tmp_path / "run" / "tokenizer.json")
    np.testing.assert_array_equal(loaded(REFERENCE[20]), tokens(REFERENCE[20]))
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["tokenizer.json"]
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(Mistake, match="bad.json is not a tokenizer.json"):
        tokenizers.Tokenizer.load(tmp_path / "bad.json")
    with pytest.raises(Mistake, match="There is no file"):
        tokenizers.Tokenizer.load(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: tokenizers.byte_pairs(SOME, 100), "of 100 is too small for byte_pairs: give at least 261."),
        (lambda: tokenizers.unigrams(SOME, 50, sentinels=100), "too small for unigrams: give at least"),
        (lambda: tokenizers.unigrams("a few letters", 11), "of 11 is too small for unigrams: give at least 12."),
        (lambda: tokenizers.word_pieces(SOME, 100), "of 100 is too small for word_pieces: give at least 1"),
        (lambda: tokenizers.characters([""]), "There is no text to train a tokenizer on"),
        (lambda: tokenizers.words([], 100), "There is no text to train a tokenizer on"),
        (lambda: tokenizers.raw_bytes()([]), "There are no documents to tokenize"),
    ],
)
def test_mistakes_are_told(call, sentence):
    with pytest.raises(Mistake) as told:
        call()
    assert sentence in str(told.value)


RECORDED = json.loads((Path(__file__).parent / "reference" / "encodings.json").read_text(encoding="utf-8"))


@pytest.fixture(params=RECORDED["kinds"])
def recorded(request):
    """A tokenizer.json of others, and what the library that it is of makes of texts."""
    path = Path(__file__).parent / "reference" / "tokenizers" / f"{request.param}.json"
    return tokenizers.Tokenizer.load(path, multiple=1, literal=False), RECORDED["kinds"][request.param]


def test_texts_are_read_as_others_read_them(recorded):
    tokenizer, known = recorded
    texts, pairs = RECORDED["texts"], RECORDED["asked"]
    assert [tokenizer.encode(text).tolist() for text in texts] == known["plain"]
    assert [tokenizer.core.encode(text).ids for text in texts] == known["whole"]
    assert [tokenizer.decode(ids) for ids in known["plain"]] == known["decoded"]
    assert [tokenizer.decode(ids, specials=True) for ids in known["whole"]] == known["decoded_with_specials"]
    both = [tokenizer.core.encode(*pair) for pair in pairs]
    assert [[own.ids, own.type_ids] for own in both] == known["pairs"]


def test_texts_are_cut_and_batched_as_others_do(recorded):
    tokenizer, known = recorded
    core = tokenizer.core
    for strategy in ("longest_first", "only_second"):
        core.enable_truncation(12, strategy=strategy)
        for pair, ids in zip(RECORDED["asked"], known[strategy], strict=True):
            if ids is not None:
                assert core.encode(*pair).ids == ids
                continue
            with pytest.raises(Exception, match="too short to respect"):
                core.encode(*pair)
    core.enable_truncation(16)
    for direction, multiple in (("right", None), ("left", 8)):
        core.enable_padding(direction=direction, pad_to_multiple_of=multiple, pad_id=0, pad_token=core.id_to_token(0))
        batch = core.encode_batch(RECORDED["texts"])
        assert [[own.ids, own.attention_mask] for own in batch] == known[direction]


def test_a_special_token_in_a_text_is_that_token_only_for_others(recorded):
    tokenizer, _ = recorded
    (text,) = (text for text in RECORDED["texts"] if "[MASK]" in text)
    specials = set(np.flatnonzero(tokenizer.special)) - {tokenizer.core.token_to_id(name) for name in ("<unk>", "[UNK]")}
    assert specials & set(tokenizer.encode(text).tolist())
    tokenizer.core.encode_special_tokens = True  # as `literal` leaves it
    unigram = json.loads(tokenizer.core.to_str())["model"]["type"] == "Unigram"  # in which they are pieces like others
    assert unigram or not specials & set(tokenizer.encode(text).tolist())


def test_what_a_file_says_of_cutting_and_padding_is_not_done_unasked(recorded, tmp_path):
    tokenizer, known = recorded
    tokenizer.core.enable_truncation(3)
    tokenizer.core.enable_padding(length=40)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = tokenizers.Tokenizer.load(tmp_path / "tokenizer.json", literal=False)
    assert [again.core.encode(text).ids for text in RECORDED["texts"]] == known["whole"]
