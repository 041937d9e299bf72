"""Text to ids and back: tokenizers trained in place by Hugging Face's library, and kept in the user's cache folder."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers

from transformer.data import sources
from transformer.mistakes import Mistake

# How each tokenizer calls the token of a role, the first that it has counting. BERT starts and ends with [CLS] and
# [SEP], T5's decoder starts with padding, GPT-2's one special token serves as all.
ROLES = {
    "pad": ("<pad>", "[PAD]", "<|endoftext|>"),
    "start": ("<s>", "[CLS]", "<pad>", "<|endoftext|>"),
    "end": ("</s>", "[SEP]", "<|endoftext|>"),
    "unknown": ("<unk>", "[UNK]", "<|endoftext|>"),
    "mask": ("<mask>", "[MASK]"),
}
PLAIN = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
T5 = ["<pad>", "</s>", "<unk>"]
INFILLING = ["<prefix>", "<suffix>", "<middle>"]

# GPT-2's words: a space stays with the word after it, and all words joined are the text again.
WORD = Regex(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
SPLIT = pre_tokenizers.Split(WORD, "isolated")


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer, and the vocabulary's size rounded up so that a mesh of devices can divide it."""

    core: tokenizers.Tokenizer
    multiple: int = 64

    def __post_init__(self) -> None:
        self.core.encode_special_tokens = True  # "</s>" in a text is text, and never ends a document

    @classmethod
    def load(cls, path: str | Path, multiple: int = 64, literal: bool = True) -> "Tokenizer":
        """Read a tokenizer.json, of this module or of anyone's; texts are neither cut nor padded, whatever it says.

        Unless it is `literal`, a special token written out in a text is that token, as transformers has it. A Unigram of
        others may find it either way, where it is one of its pieces.
        """
        if not Path(path).is_file():
            raise Mistake(f"There is no file {path}: give the path of a tokenizer.json.")
        try:
            core = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise Mistake(f"{path} is not a tokenizer.json: {error}.") from None
        core.no_padding()
        core.no_truncation()
        tokenizer = cls(core, multiple)
        core.encode_special_tokens = literal
        return tokenizer

    def save(self, path: str | Path) -> None:
        """Write a tokenizer.json, whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(self.core.to_str(), encoding="utf-8")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def __call__(self, text: str | Sequence[str]) -> np.ndarray:
        """The ids of a text, or of several documents one after the other, each closed by the end token."""
        return self.encode(text) if isinstance(text, str) else np.concatenate(self.documents(text))

    def encode(self, text: str) -> np.ndarray:
        return np.array(self.core.encode_batch_fast([text], add_special_tokens=False)[0].ids, np.int32)

    def framed(self, text: str) -> np.ndarray:
        """The ids of what a person says to a model: special tokens count as such, and the tokenizer's own template frames them."""
        self.core.encode_special_tokens = False
        try:
            return np.array(self.core.encode(text, add_special_tokens=True).ids, np.int32)
        finally:
            self.core.encode_special_tokens = True

    def shown(self, id: int) -> str:
        """What one token looks like, the spaces and line ends in it visible."""
        name = self.core.id_to_token(int(id)) or f"#{id}"
        text = self.core.decode([int(id)], skip_special_tokens=False)
        if not text or "\N{REPLACEMENT CHARACTER}" in text:  # a part of a character, or nothing but a mark
            text = name
        if name[:1] in "▁Ġ" and not text.startswith(" "):
            text = " " + text.removeprefix(name[0])
        return text.translate({ord(" "): "␣", ord("\n"): "⏎", ord("\t"): "⇥", ord("\r"): "␍"})

    def documents(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each document, closed by the end token."""
        if not texts:
            raise Mistake("There are no documents to tokenize: give at least one.")
        encoded = self.core.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array([*document.ids, self.end], np.int32) for document in encoded]

    def decode(self, ids: Iterable[int], specials: bool = False) -> str:
        """The text of ids, special tokens left out unless asked for."""
        known = [int(id) for id in ids if int(id) < self.tokens]
        return self.core.decode(known, skip_special_tokens=not specials)

    def pieces(self, text: str) -> list[str]:
        """The part of the text that each token stands for."""
        encoding = self.core.encode(text, add_special_tokens=False)
        return [text[start:end] for start, end in encoding.offsets]

    @property
    def tokens(self) -> int:
        """How many different tokens there are."""
        return self.core.get_vocab_size()

    @property
    def size(self) -> int:
        """Rows of the embedding: the tokens, rounded up to the multiple."""
        return -(-self.tokens // self.multiple) * self.multiple

    @property
    def pad(self) -> int:
        return self._special("pad")

    @property
    def start(self) -> int:
        return self._special("start")

    @property
    def end(self) -> int:
        return self._special("end")

    @property
    def unknown(self) -> int:
        return self._special("unknown")

    @property
    def mask(self) -> int:
        return self._special("mask")

    @cached_property
    def sentinels(self) -> np.ndarray:
        """T5's <extra_id_0>, <extra_id_1>, ...: the first has the highest id."""
        names = {name: id for id, name in self._specials.items()}
        found = [f"<extra_id_{n}>" for n in range(len(names))]
        return np.array([names[name] for name in found if name in names], np.int32)

    @cached_property
    def infilling(self) -> tuple[int, ...]:
        """What stands before a text's prefix, its suffix, and the middle that is to be filled in."""
        names = {name: id for id, name in self._specials.items()}
        return tuple(names[name] for name in INFILLING)

    @cached_property
    def special(self) -> np.ndarray:
        """True at the ids of special tokens, and at those beyond the tokens, [size]."""
        found = np.arange(self.size) >= self.tokens
        found[list(self._specials)] = True
        return found

    @cached_property
    def continues(self) -> np.ndarray:
        """True at the ids of pieces that go on with a word: whole-word masking keeps them with the ones before, [size].

        WordPiece marks what goes on, the others mark what begins: with a space, or by being no letter at all.
        """
        names = [self.core.id_to_token(id) or "" for id in range(self.tokens)]
        if any(name.startswith("##") for name in names):
            goes_on = [name.startswith("##") for name in names]
        else:
            goes_on = [name[:1].isalpha() and name[0] not in "ĠĊĉč" for name in names]
        return np.pad(goes_on, (0, self.size - self.tokens)) & ~self.special

    @cached_property
    def _specials(self) -> dict[int, str]:
        return {id: token.content for id, token in self.core.get_added_tokens_decoder().items() if token.special}

    def _special(self, role: str) -> int:
        for name in ROLES[role]:
            if (id := self.core.token_to_id(name)) is not None:
                return id
        has = ", ".join(self._specials.values()) or "none"
        raise Mistake(f"This tokenizer has no {role} token, it has {has}: choose a kind with one of {ROLES[role]}.")


def split_words(text: str) -> list[str]:
    """The pieces that no token of `words` or `byte_pairs` crosses: "Hello world" gives "Hello" and " world"."""
    return [text[start:end] for _, (start, end) in SPLIT.pre_tokenize_str(text)]


def raw_bytes(multiple: int = 64) -> Tokenizer:
    """UTF-8 bytes, each its own token: id = byte + 5."""
    # The byte-level alphabet shows printable bytes as themselves and the others from U+0100 on.
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = iter(range(256, 512))
    letters = [chr(byte if byte in printable else next(hidden)) for byte in range(256)]
    core = _of(models.BPE({token: id for id, token in enumerate(PLAIN + letters)}, []), PLAIN)
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return Tokenizer(core, multiple)


def characters(texts: str | Sequence[str], multiple: int = 64) -> Tokenizer:
    """The characters that occur in the texts; any other is unknown."""
    known = sorted(set().union(*_listed(texts)))
    vocabulary = {token: id for id, token in enumerate(PLAIN + known)}
    core = _of(models.BPE(vocabulary, [], unk_token="<unk>"), PLAIN)
    core.decoder = decoders.Fuse()
    return Tokenizer(core, multiple)


def spaced(texts: str | Sequence[str], sentinels: int = 0, multiple: int = 64) -> Tokenizer:
    """Whatever stands between spaces is a word, also a special token; any that is not in the texts is unknown."""
    known = sorted({word for text in _listed(texts) for word in text.split()})
    marks = [f"<extra_id_{n}>" for n in reversed(range(sentinels))]
    vocabulary = {token: id for id, token in enumerate(PLAIN + known + marks)}
    core = _of(models.WordLevel(vocabulary, unk_token="<unk>"), PLAIN + marks)
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Tokenizer(core, multiple)


def words(texts: str | Sequence[str], vocab: int, multiple: int = 64) -> Tokenizer:
    """The most frequent words, each with the space before it; any other is unknown."""

    def train(texts: list[str]) -> tokenizers.Tokenizer:
        core = _of(models.WordLevel(unk_token="<unk>"))
        core.pre_tokenizer = SPLIT
        core.decoder = decoders.Fuse()
        trainer = trainers.WordLevelTrainer(vocab_size=vocab, special_tokens=PLAIN, show_progress=False)
        core.train_from_iterator(texts, trainer)
        return core

    return _trained("words", texts, train, multiple, vocab)


def byte_pairs(texts: str | Sequence[str], vocab: int, multiple: int = 64) -> Tokenizer:
    """GPT-2's byte-level pair encoding: any text goes there and back unchanged."""

    def train(texts: list[str]) -> tokenizers.Tokenizer:
        core = _of(models.BPE())
        core.pre_tokenizer = pre_tokenizers.Sequence([SPLIT, pre_tokenizers.ByteLevel(False, use_regex=False)])
        core.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab,
            special_tokens=PLAIN,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        core.train_from_iterator(texts, trainer)
        return core

    return _trained("byte_pairs", texts, train, multiple, vocab, smallest=256 + len(PLAIN))


def code_pieces(texts: str | Sequence[str], vocab: int, multiple: int = 64) -> Tokenizer:
    """Python's tokens, as `code.marked` has them: frequent ones whole, rare ones in pieces; with three marks to fill in a middle."""

    def train(texts: list[str]) -> tokenizers.Tokenizer:
        core = _of(models.BPE())
        core.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex("\x1f[^\x1f]*"), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
        core.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=PLAIN + INFILLING, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        core.train_from_iterator(texts, trainer)
        return core

    return _trained("code_pieces", texts, train, multiple, vocab, smallest=256 + len(PLAIN + INFILLING))


def word_pieces(texts: str | Sequence[str], vocab: int, lowercase: bool = True, multiple: int = 64) -> Tokenizer:
    """BERT's WordPiece: words without their spaces, the pieces inside a word marked by ##."""

    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def train(texts: list[str]) -> tokenizers.Tokenizer:
        # The trainer numbers the letters inside words in an order that changes from run to run, unless given them.
        found = {word for text in texts for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))}
        inside = sorted({"##" + letter for word in found for letter in word[1:]})
        core = _of(models.WordPiece(unk_token="[UNK]"))
        core.normalizer, core.pre_tokenizer = normalizer, pre_tokenizer
        trainer = trainers.WordPieceTrainer(vocab_size=vocab, special_tokens=BERT + inside, show_progress=False)
        core.train_from_iterator(texts, trainer)

        settled = _of(models.WordPiece(core.get_vocab(), unk_token="[UNK]"), BERT)
        settled.normalizer, settled.pre_tokenizer, settled.decoder = normalizer, pre_tokenizer, decoders.WordPiece()
        return settled

    return _trained("word_pieces", texts, train, multiple, vocab, lowercase)


def unigrams(texts: str | Sequence[str], vocab: int, sentinels: int = 0, multiple: int = 64) -> Tokenizer:
    """SentencePiece's Unigram as T5 has it: a space is part of the piece after it, sentinels end the vocabulary."""

    def train(texts: list[str]) -> tokenizers.Tokenizer:
        core = _of(models.Unigram())
        core.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=vocab - sentinels, special_tokens=T5, unk_token="<unk>", show_progress=False
        )
        core.train_from_iterator(texts, trainer)

        pieces = _settled(json.loads(core.to_str())["model"]["vocab"])
        settled = _of(models.Unigram(pieces, unk_id=T5.index("<unk>"), byte_fallback=False), T5)
        settled.pre_tokenizer, settled.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        settled.add_special_tokens([_token(f"<extra_id_{n}>") for n in reversed(range(sentinels))])
        return settled

    letters = {" "}.union(*_listed(texts))
    return _trained("unigrams", texts, train, multiple, vocab, sentinels, smallest=len(T5) + sentinels + len(letters))


def _settled(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Unigram's pieces with scores and in an order that are the same in every process that trains them.

    The trainer puts back each letter that it had pruned 0.0001 above the one before, in an order that changes from run
    to run, and its sums differ in the last digits. The special tokens get a score that no text can make worthwhile.
    """
    lowest = min(score for name, score in pieces if name not in T5)
    letters = sum(len(name) == 1 for name, _ in pieces)
    level = lowest + 0.0001 * (letters + 1)
    scores = {name: lowest if len(name) == 1 and score < level else score for name, score in pieces}
    ordinary = [(name, round(score, 6)) for name, score in scores.items() if name not in T5]
    return [(name, -1e4) for name in T5] + sorted(ordinary, key=lambda piece: (-piece[1], piece[0]))


def _trained(
    kind: str,
    texts: str | Sequence[str],
    train: Callable[[list[str]], tokenizers.Tokenizer],
    multiple: int,
    vocab: int,
    *settings: object,
    smallest: int = 1,
) -> Tokenizer:
    """Train, or read back what was trained on the same texts with the same settings."""
    if vocab < smallest:
        raise Mistake(f"A vocabulary of {vocab} is too small for {kind}: give at least {smallest}.")
    texts = _listed(texts)
    key = sources.digest([kind, tokenizers.__version__, repr((vocab, *settings)), *texts])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transformer" / f"{kind}-{key}.json"
    if cache.is_file():
        try:
            return Tokenizer.load(cache, multiple)
        except Mistake:
            pass  # damaged: train it again
    trained = Tokenizer(train(texts), multiple)
    if trained.tokens > vocab:
        raise Mistake(f"A vocabulary of {vocab} is too small for {kind}: give at least {trained.tokens}.")
    with contextlib.suppress(OSError):  # without a cache it is trained again next time
        trained.save(cache)
    return trained


def _listed(texts: str | Sequence[str]) -> list[str]:
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not any(texts):
        raise Mistake("There is no text to train a tokenizer on: give at least one document that is not empty.")
    return texts


def _of(model: models.Model, specials: Sequence[str] = ()) -> tokenizers.Tokenizer:
    core = tokenizers.Tokenizer(model)
    core.add_special_tokens([_token(name) for name in specials])
    return core


def _token(name: str) -> AddedToken:
    return AddedToken(name, special=True, normalized=False)
