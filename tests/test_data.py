import collections
import math
import time

import numpy as np
import pytest

from transformer.data import ngrams, sources, tokenizers
from transformer.data.batches import batches, held_out_batches, stream
from transformer.data.corruption import corrupted_lengths, span_corruption
from transformer.data.examples import examples, windows
from transformer.data.masking import masked, masked_sentences, sentence_pairs, sentences
from transformer.data.packing import packed
from transformer.mistakes import Mistake

REFERENCE = sources.python_reference()


@pytest.fixture(scope="module")
def pieces():
    return tokenizers.word_pieces(REFERENCE[:30], 600)


@pytest.fixture(scope="module")
def unigrams():
    return tokenizers.unigrams(REFERENCE[:10], 500, sentinels=20)


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def contract(example, **expected):
    """Names, shapes and types of an example, as the models and losses expect them."""
    found = {name: (np.dtype(array.dtype).name, *array.shape) for name, array in example.items()}
    assert found == expected


# Windows


@pytest.mark.parametrize("tokens", [9, 10, 16, 17, 18, 100])
def test_windows_cover_the_text_exactly(tokens):
    ids = np.arange(tokens) + 1000
    every = list(windows(ids, length=8))
    contract(every[0], tokens=("int32", 8), targets=("int32", 8), weights=("float32", 8))
    real = [example["weights"] == 1 for example in every]
    np.testing.assert_array_equal(np.concatenate([e["targets"][r] for e, r in zip(every, real, strict=True)]), ids[1:])
    np.testing.assert_array_equal(np.concatenate([e["tokens"][r] for e, r in zip(every, real, strict=True)]), ids[:-1])
    assert all((e["targets"][~r] == 0).all() for e, r in zip(every, real, strict=True))
    assert real[0].all() and all(r.any() for r in real)


@pytest.mark.parametrize("stride", [1, 3, 7])
def test_windows_may_overlap(stride):
    ids = np.arange(50) + 1000
    every = list(windows(ids, length=8, stride=stride))
    assert [example["tokens"][0] for example in every] == [1000 + stride * n for n in range(len(every))]
    assert set(np.concatenate([example["targets"] for example in every])) - {0} == set(ids[1:])
    assert sum((example["weights"] == 0).any() for example in every) <= 1


def test_a_short_text_and_a_bad_stride_are_mistakes():
    with pytest.raises(Mistake, match="has 8 tokens, but a window of length 8 needs 9: .* at most 7"):
        windows(np.arange(8), 8)
    for stride in (9, -1):
        with pytest.raises(Mistake, match=f"cannot be {stride} apart: give a stride from 1 to 8"):
            windows(np.arange(100), 8, stride=stride)
    with pytest.raises(Mistake, match="arrays of one length"):
        examples(a=np.zeros(2), b=np.zeros(3))


# Packing


@pytest.mark.parametrize("seed", range(5))
def test_packing_keeps_every_pair_once_and_documents_apart(seed):
    chance = np.random.default_rng(seed)
    length = 16
    sizes = chance.integers(0, [3, 10, 17, 40, 18][seed] + 2, 60)
    documents = [np.arange(size) + 100 * number for number, size in enumerate(sizes)]  # an id tells document and place
    rows = list(packed(documents, length))
    names = ("tokens", "targets", "positions", "segments")
    contract(rows[0], weights=("float32", length), **dict.fromkeys(names, ("int32", length)))

    found = collections.Counter()
    for row in rows:
        real = row["weights"] == 1
        tokens, targets = row["tokens"][real], row["targets"][real]
        assert (targets == tokens + 1).all()  # the next id of the same document: never another document's
        found.update(targets.tolist())
        np.testing.assert_array_equal(row["segments"] > 0, real)
        assert all((row[name][~real] == 0).all() for name in row)
        for segment in range(1, row["segments"].max() + 1):
            inside = row["segments"] == segment
            np.testing.assert_array_equal(row["positions"][inside], np.arange(inside.sum()))
            assert inside.any() and len(set(row["tokens"][inside] // 100)) == 1
            assert (np.diff(np.flatnonzero(inside)) == 1).all()
    assert found == collections.Counter(id for document in documents for id in document[1:].tolist())


def test_packing_leaves_little_room():
    chance = np.random.default_rng(0)
    documents = [np.ones(size, int) for size in chance.integers(2, 200, 2000)]
    rows = packed(documents, 256)
    assert np.mean([row["weights"] for row in rows]) > 0.98
    with pytest.raises(Mistake, match="None of 2 documents has two tokens"):
        packed([np.ones(1, int), np.ones(0, int)], 8)


# Masking


def drawn(dataset, epochs=8):
    return list(dataset.seed(7).repeat(epochs).to_iter_dataset())


def test_masking_follows_berts_statistics(pieces):
    ids = np.random.default_rng(0).integers(5, pieces.tokens, 64 * 200 + 1)
    plain = windows(ids, 64)
    every = drawn(masked(plain, pieces))
    contract(
        every[0],
        tokens=("int32", 64),
        present=("bool", 64),
        masked=("int32", 10),
        labels=("int32", 10),
        weights=("float32", 10),
    )
    places = np.zeros(64)
    counts = collections.Counter()
    for number, example in enumerate(every):
        before, after = plain[number]["tokens"], example["tokens"]
        chosen = example["masked"]
        assert len(set(chosen)) == 10 and example["weights"].all() and example["present"].all()
        np.testing.assert_array_equal(example["labels"], before[chosen])
        untouched = np.delete(np.arange(64), chosen)
        np.testing.assert_array_equal(after[untouched], before[untouched])
        places[chosen] += 1
        counts["masked"] += (after[chosen] == pieces.mask).sum()
        counts["kept"] += (after[chosen] == before[chosen]).sum()
        counts["special"] += (pieces.special[after] & (after != pieces.mask)).sum()
    total = 10 * len(every)
    assert counts["masked"] / total == pytest.approx(0.8, abs=0.01)
    assert counts["kept"] / total == pytest.approx(0.1, abs=0.01)
    assert counts["special"] == 0
    assert places / len(every) == pytest.approx(np.full(64, 10 / 64), abs=0.04)


def test_special_tokens_and_padding_are_never_masked(pieces):
    for example in drawn(masked_sentences(REFERENCE[:30], pieces, 64), epochs=2):
        chosen, used = example["masked"], example["weights"] == 1
        real = example["present"].sum() - 3
        assert used.sum() == max(1, round(0.15 * real)) and not example["masked"][~used].any()
        assert example["present"][chosen[used]].all() and not pieces.special[example["labels"][used]].any()
        assert (example["tokens"] == pieces.end).sum() == 2 and (example["tokens"] == pieces.start).sum() == 1
    packing = masked(packed([np.arange(5, 12)] * 5, 16), pieces)
    for example in drawn(packing):
        np.testing.assert_array_equal(example["present"], example["segments"] > 0)
        assert example["present"][example["masked"]].all()


def test_what_is_not_present_is_never_masked(pieces):
    present = np.tile([True, False], 32)[None]
    (example,) = masked(examples(tokens=np.full((1, 64), 50, np.int32), present=present), pieces)
    assert example["weights"].sum() == 5 and (example["masked"][:5] % 2 == 0).all()


def test_a_word_ends_at_a_special_token(pieces):
    inside = np.flatnonzero(pieces.continues)[0]
    tokens = np.tile([inside, pieces.end], 32).astype(np.int32)[None]  # each between two separators
    (example,) = masked(examples(tokens=tokens), pieces, whole_words=True)
    assert example["weights"].sum() == 5


def test_whole_words_are_masked_together(pieces):
    plain = sentence_pairs(REFERENCE[:30], pieces, 64)
    hidden = masked(plain, pieces, whole_words=True)
    share, words = [], 0
    for number in range(len(plain)):
        tokens, example = plain[number]["tokens"], hidden[number]
        chosen = set(example["masked"][example["weights"] == 1].tolist())
        goes_on = pieces.continues[tokens]
        for place in range(1, 64):
            # a [SEP] or a cut may leave the end of a word without its beginning
            if goes_on[place] and not pieces.special[tokens[place - 1]]:
                assert (place in chosen) == (place - 1 in chosen)
                words += place in chosen
        share.append(len(chosen) / (example["present"].sum() - 3))
    assert words > 100
    assert 0.13 < np.mean(share) < 0.16


def test_pairs_follow_each_other_half_of_the_time(pieces):
    documents = [" ".join(f"{name}{letter} it." for letter in "abcdefgh" for _ in range(9)) for name in ("x", "y", "z")]
    tokens = tokenizers.words(documents, 100)  # every word tells its document
    texts = [set(tokens(" " + text).tolist()) for text in documents]
    shared = set.intersection(*texts)
    names = {id: number for number, ids in enumerate(texts) for id in ids - shared}
    every = drawn(sentence_pairs(documents, tokens, 32), epochs=60)
    contract(every[0], tokens=("int32", 32), kinds=("int32", 32), present=("bool", 32), follows=("int32",))
    followed, cuts = [], set()
    for example in every:
        size = example["present"].sum()
        first, second = np.flatnonzero(example["tokens"][:size] == tokens.end)
        assert example["tokens"][0] == tokens.start and second == size - 1 and example["present"][:size].all()
        assert (example["tokens"][size:] == tokens.pad).all()
        np.testing.assert_array_equal(np.flatnonzero(example["kinds"]), np.arange(first + 1, size))
        a, b = example["tokens"][1:first], example["tokens"][first + 1 : second]
        assert len(a) and len(b)
        owners = [{names[id] for id in part.tolist() if id not in shared} for part in (a, b)]
        assert len(owners[0]) == len(owners[1]) == 1
        assert (owners[0] == owners[1]) == bool(example["follows"])
        followed.append(example["follows"])
        cuts.add(first)
    assert np.mean(followed) == pytest.approx(0.5, abs=0.05)
    assert len(cuts) > 3


def test_a_following_sentence_really_follows(pieces):
    pairs = sentence_pairs(REFERENCE[:30], pieces, 64)
    parts = [[pieces.encode(" " + part) for part in sentences(text)] for text in REFERENCE[:30]]
    texts = [np.concatenate(part).tobytes() for part in parts]
    met = collections.Counter()
    for example in drawn(pairs, epochs=2):
        first, second = np.flatnonzero(example["tokens"] == pieces.end)
        joined = np.concatenate([example["tokens"][1:first], example["tokens"][first + 1 : second]]).tobytes()
        met[bool(example["follows"]), any(joined in text for text in texts)] += 1
    assert met[True, True] > 100 and met[False, False] > 100
    assert not met[True, False] and not met[False, True]


def test_pairs_need_two_documents(pieces):
    with pytest.raises(Mistake, match="need two documents of at least two sentences, but of 2 given 1 have so many"):
        sentence_pairs(["One. Two.", "Only one."], pieces, 64)
    with pytest.raises(Mistake, match="does not fit into length 4"):
        sentence_pairs(REFERENCE, pieces, 4)


# Span corruption


@pytest.mark.parametrize(("length", "tokens", "target"), [(512, 568, 114), (114, 126, 26), (64, 70, 14)])
def test_lengths_are_t5s(length, tokens, target):
    assert corrupted_lengths(length) == (tokens, target)


@pytest.mark.parametrize(("length", "rate", "mean_span"), [(64, 0.15, 3), (32, 0.5, 3), (40, 0.3, 1), (7, 0.1, 9)])
def test_corruption_can_be_undone(unigrams, length, rate, mean_span):
    ids = unigrams(REFERENCE[1])
    chunk, target = corrupted_lengths(length, rate, mean_span)
    order = {int(id): number for number, id in enumerate(unigrams.sentinels)}
    seen, spans = set(), []
    dataset = span_corruption(ids, unigrams, length, rate, mean_span)
    starts = [min(n * chunk, len(ids) - chunk) for n in range(math.ceil(len(ids) / chunk))]
    assert len(dataset) == len(starts)
    for number, example in enumerate(drawn(dataset, epochs=3)):
        contract(
            example,
            source=("int32", length),
            present=("bool", length),
            target=("int32", target),
            labels=("int32", target),
            weights=("float32", target),
        )
        source, labels = example["source"].tolist(), example["labels"].tolist()
        assert source[-1] == labels[-1] == unigrams.end and example["present"].all() and example["weights"].all()
        assert example["target"].tolist() == [unigrams.start, *labels[:-1]]
        spans = []
        for id in labels[:-1]:
            if id in order:
                assert order[id] == len(spans)
                spans.append([])
            else:
                spans[-1].append(id)
        assert all(spans) and sum(map(len, spans)) == max(1, round(rate * chunk))
        text = [word for id in source[:-1] for word in (spans[order[id]] if id in order else [id])]
        start = starts[number % len(starts)]
        assert text == ids[start : start + chunk].tolist()
        seen.add(tuple(source))
    assert len(seen) > len(starts) or len(spans) == 1  # the noise comes last, so a single span is always the same


def test_corruption_tells_what_it_lacks(unigrams):
    with pytest.raises(Mistake, match="has 50 tokens, but a source of length 64 is made from 70"):
        span_corruption(np.arange(50), unigrams, 64)
    with pytest.raises(Mistake, match="needs 28 sentinels, but this tokenizer has 20: .*sentinels=28"):
        span_corruption(np.arange(1000), unigrams, 512)
    with pytest.raises(Mistake, match="Cannot corrupt a share of 1.5"):
        corrupted_lengths(64, rate=1.5)


# Batches


@pytest.fixture(scope="module")
def random_pairs(pieces):
    return masked_sentences(REFERENCE[:30], pieces, 48)


def test_a_batch_is_a_function_of_seed_and_step(random_pairs):
    first, again, other = (batches(random_pairs, 8, seed) for seed in (3, 3, 4))
    for step in (0, 11, 10**6):
        assert equal(first[step], again[step])
        assert not equal(first[step], other[step])
    contract(
        first[0],
        tokens=("int32", 8, 48),
        kinds=("int32", 8, 48),
        present=("bool", 8, 48),
        masked=("int32", 8, 7),
        labels=("int32", 8, 7),
        weights=("float32", 8, 7),
        follows=("int32", 8),
    )


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_same_batch(random_pairs, processes):
    whole = batches(random_pairs, 8, seed=3)
    shares = [batches(random_pairs, 8, 3, process, processes) for process in range(processes)]
    for step in (0, 1, 500):
        parts = [share[step] for share in shares]
        assert equal(whole[step], {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    with pytest.raises(Mistake, match="8 rows cannot be shared by 3 processes: give a multiple of 3"):
        batches(random_pairs, 8, 3, 0, 3)


def test_a_stream_begins_at_any_step(random_pairs):
    every = batches(random_pairs, 8, seed=3)
    flowing = stream(every, step=400)
    for step in range(400, 420):
        assert equal(next(flowing), every[step])


def test_epochs_see_every_example_once_in_other_orders():
    dataset = examples(number=np.arange(24))
    for seed in (0, 1, 2**32 + 5):
        every = batches(dataset, 8, seed)
        epochs = [np.concatenate([every[3 * epoch + n]["number"] for n in range(3)]) for epoch in range(5)]
        assert all(sorted(epoch) == list(range(24)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) == 5


def test_random_steps_differ_by_epoch_and_by_seed():
    dataset = examples(number=np.arange(24)).random_map(lambda example, rng: example | {"drawn": rng.random()}, seed=1)
    drawn = np.array([batches(dataset, 24, seed)[epoch]["drawn"] for seed in range(6) for epoch in range(4)])
    assert len(np.unique(drawn)) == drawn.size


@pytest.mark.parametrize(("number", "processes"), [(1, 1), (7, 1), (8, 1), (9, 2), (17, 4)])
def test_held_out_batches_cover_every_example_once(number, processes):
    dataset = examples(id=np.arange(number) + 1, weights=np.ones((number, 3), np.float32), flag=np.ones(number, bool))
    shares = [list(held_out_batches(dataset, 8, process, processes)) for process in range(processes)]
    assert {len(share) for share in shares} == {math.ceil(number / 8)}
    whole = [np.concatenate(parts) for step in zip(*shares, strict=True) for parts in [[b["id"] for b in step]]]
    assert all(len(ids) == 8 for ids in whole)
    assert np.concatenate(whole).tolist() == [*range(1, number + 1), *[0] * (-number % 8)]
    for batch in (batch for share in shares for batch in share):
        blank = batch["id"] == 0
        assert not batch["weights"][blank].any() and batch["weights"][~blank].all()
        np.testing.assert_array_equal(batch["flag"], ~blank)
        assert batch["weights"].dtype == np.float32


def test_held_out_batches_draw_the_same_every_time(random_pairs):
    for one, other in zip(held_out_batches(random_pairs, 8), held_out_batches(random_pairs, 8), strict=True):
        assert equal(one, other)


def test_windows_come_faster_than_a_device_asks():
    every = batches(windows(np.arange(2_000_000) % 1000, 256), rows=16, seed=0)

    def rate(steps=200):
        begin = time.thread_time()
        for step in range(steps):
            _ = every[step]
        return steps * 16 * 256 / (time.thread_time() - begin)

    assert max(rate() for _ in range(5)) > 5e6


# n-grams


def slow_witten_bell(train, held_out, order):
    """The formula as it stands, with dictionaries."""
    text = [*train, *held_out]
    followers = collections.defaultdict(collections.Counter)
    for n in range(order):
        for place in range(n, len(train)):
            followers[tuple(train[place - n : place])][train[place]] += 1

    def probability(history, word):
        shorter = probability(history[1:], word) if history else 1 / len(set(text))
        seen = followers[history]
        total, kinds = sum(seen.values()), len(seen)
        return (seen[word] + kinds * shorter) / (total + kinds) if total else shorter

    places = range(len(train), len(text))
    return -np.mean([math.log(probability(tuple(text[i - order + 1 : i]), text[i])) for i in places])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_baseline_is_witten_and_bells(order):
    letters = [ord(letter) for letter in REFERENCE[1][:3000]]
    train, held_out = letters[:2000], letters[2000:]
    fast = ngrams.witten_bell(np.array(train), np.array(held_out), order)
    assert fast == pytest.approx(slow_witten_bell(train, held_out, order), rel=1e-9)


def test_the_baseline_on_the_reference():
    # 1.320 with Python 3.11's text, 1.360 with that of 3.12
    letters = np.array([ord(letter) for letter in "\n\n".join(REFERENCE)])
    cut = int(0.9 * len(letters))
    assert ngrams.witten_bell(letters[:cut], letters[cut:], 5) == pytest.approx(1.34, abs=0.04)
    with pytest.raises(Mistake, match="order of 3 cannot be counted on 2 ids"):
        ngrams.witten_bell(letters[:2], letters, 3)
