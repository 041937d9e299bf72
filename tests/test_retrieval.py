"""Texts that belong together: what is made of them, how rankings are judged, and what models of two texts learn by."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.data import docstrings, labelled, ranking, sources, tokenizers
from transformer.data.asking import prompt
from transformer.data.made import bindings, paraphrases, passages, world
from transformer.data.made.paraphrases import Event
from transformer.data.made.topics import Topics, masked
from transformer.data.pairing import compared, enclosed, enclosed_pairs
from transformer.data.ranking import Index, discounted, overlap, places, recall, reciprocal, spearman, tf_idf, words_of
from transformer.matching import contrastive, likeness, relevance
from transformer.mistakes import Mistake
from transformer.models.bi_encoder import BiEncoder
from transformer.models.cross_encoder import CrossEncoder
from transformer.models.modernbert import ModernBert, Size
from transformer.shows.asking import replies
from transformer.shows.retrieval import mined
from transformer.weights import initialise

TOKENIZER = tokenizers.word_pieces(["the cat sat on a mat"] * 3, 64)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def model_of(kind):
    encoder = ModernBert.of(Size(TOKENIZER.size, 1, 16, 2, 24, every=1))
    return initialise(kind(encoder), jax.random.key(0))


def test_events_are_held_out_however_they_are_told(rng):
    learned = {one.concepts for one in (paraphrases.event(rng) for _ in range(500))}
    away = [paraphrases.event(rng, held_out=True) for _ in range(200)]
    assert not learned & ({one.concepts for one in away} | {one.swapped.concepts for one in away})
    first, second = (paraphrases.like(rng, away[0], held_out=True) for _ in range(2))
    assert first.held_out and second.held_out


def test_likeness_is_of_roles_and_words_mislead():
    one = Event((0, 1, 2, 3))
    zeros, ones = np.zeros(4, int), np.ones(4, int)
    assert one.said(zeros, paraphrases.STATED[0]) == "the doctor chased the kid near the wood"
    assert one.said(ones, paraphrases.STATED[1]) == "the child was pursued by the physician near the forest"
    assert one.likeness(one.swapped) == 0.5 and one.likeness(one) == 1.0 and one.likeness(Event((5, 1, 6, 7))) == 0.25
    assert overlap(one.said(zeros, paraphrases.STATED[0]), one.swapped.said(zeros, paraphrases.STATED[0])) == 1.0


def test_a_library_has_one_answer_and_queries_that_share_no_word_with_it(rng):
    library = paraphrases.library(rng, 60, 20)
    assert len(set(library.documents)) == len(library.documents) == len(library.who)
    for query, at in zip(library.apart, library.truth, strict=True):
        assert not set(query.split()) & set(library.documents[at].split())


def test_bindings_keep_names_and_change_pairs(rng):
    one, asked = bindings.document(rng), np.array([0, 2])
    other = bindings.repaired(rng, one, asked)
    assert sorted(one.told(range(4)).split()) == sorted(other.told(range(4)).split()) and not other.answers(one, asked)
    assert one.answers(one, asked) and not one.held_out and not other.held_out
    texts, queries, truth = bindings.library(rng, 50, 10)
    for query, at in zip(queries, truth, strict=True):
        pairs = list(zip(*[iter(query.split())] * 2, strict=True))
        answer = [text for text in texts if all(f"{who} {where}" in text for who, where in pairs)]
        assert texts[at] in answer and not any(text in answer for text in texts[at + 1:at + 5])
    assert {score for *_, score in (bindings.judged(rng) for _ in range(20))} == {0.0, 1.0}


def test_no_world_or_examination_states_what_was_learned(rng):
    assert all(fact.held_out for fact in world.world(rng))
    known = {fact.statement(form) for fact in passages.every_fact() for form in range(3)}
    exam = world.examinations(rng, 20)
    assert not any(fact.statement(form) in known for one in exam for fact in one.facts for form in range(3))
    assert all(one.steps[0][1] in one.steps[1][0] and one.steps[1][1] == one.answer for one in exam)
    text, asked = world.excerpt(rng, 3)
    assert len(asked) == 3 and all(answer.lower() in text.lower() for _, answer in asked)
    assert all(answer.lower() in text.lower() for text, asked in (world.lesson(rng) for _ in range(20)) for _, answer in asked)
    assert all(len(asked) == text.count(".") == 2 for text, asked in (world.lesson(rng, 1, passages.VILLAGE) for _ in range(20)))


def test_a_prompt_asks_for_answers_and_nothing_else():
    row = prompt("the cat", [("sat on", "a mat"), ("on", "the")], TOKENIZER, 12)
    assert TOKENIZER.decode(row["targets"][row["weights"] > 0], specials=True) == "a mat [SEP] the [SEP]"
    assert TOKENIZER.decode(row["tokens"], specials=True).startswith("[CLS] the cat sat on a mat [SEP] on the [SEP]")
    with pytest.raises(Mistake, match="has 11 tokens, but there is room for 6"):
        prompt("the cat sat on", [("the cat", "a mat sat")], TOKENIZER, 5)


def test_topics_have_words_of_their_own(rng):
    source = Topics(topics=3, words=5, others=4, length=6, told=2)
    texts, labels = source.texts(rng, 50)
    words = source.vocabulary
    assert len(set(words)) == 19
    for text, label in zip(texts, labels, strict=True):
        own = [words.index(word) // 5 for word in text.split() if words.index(word) < 15]
        assert len(text.split()) == 6 and own == [label] * 2
    tokenizer = tokenizers.word_pieces([" ".join(words)] * 2, 200)
    row = {name: array[0] for name, array in enclosed(texts[:1], tokenizer, 8).items()}
    for words in (6, 5, 1):
        row["present"] = np.arange(8) < words + 2
        hidden = masked(row, rng, tokenizer)
        asked = hidden["masked"][hidden["weights"] > 0]
        assert len(hidden["masked"]) == 3 and len(set(asked)) == words // 2 and (asked < words + 1).all()
        assert (hidden["tokens"][asked] == tokenizer.mask).all() and (row["tokens"][hidden["masked"]] == hidden["labels"]).all()


def test_functions_are_told_by_their_first_lines_and_split_by_module(monkeypatch):
    text = 'def f(x):\n    """Add one to a number.\n\n    More."""\n    return x + 1\n\n\ndef g():\n    """Short one."""\n    return "\\d"\n'
    monkeypatch.setattr(sources, "standard_library_files", lambda: iter([(f"{name}.py", text.replace("one", name)) for name in "abcdefgh"]))
    learned, away = (docstrings.functions_by_module(held_out) for held_out in (False, True))
    assert len(learned) + len(away) == 8 and learned and away and not set(dict(learned)) & set(dict(away))
    assert learned[0][1] == "def f(x):\n    return x + 1"


def test_texts_are_enclosed_and_cut():
    rows = enclosed(["the cat", "the cat sat on a mat"], TOKENIZER, 6)
    assert TOKENIZER.decode(rows["tokens"][1], specials=True) == "[CLS] the cat sat on [SEP]"
    assert rows["present"].sum(1).tolist() == [4, 6] and (rows["tokens"][0, 4:] == TOKENIZER.pad).all()
    pair = enclosed_pairs(["the cat"], ["sat on a mat"], TOKENIZER, 8)
    assert TOKENIZER.decode(pair["tokens"][0], specials=True) == "[CLS] the cat [SEP] sat on a [SEP]"
    assert pair["kinds"][0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_rankings_are_judged():
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.2, 0.2], [0.1, 0.2, 0.3]])
    found = places(scores, np.array([0, 1, 0]))
    assert found.tolist() == [1, 2, 3] and recall(found, 1) == pytest.approx(1 / 3)
    assert reciprocal(found) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert discounted(found) == pytest.approx((1 + 1 / np.log2(3) + 1 / 2) / 3)
    assert spearman(np.array([1, 2, 3, 3]), np.array([10, 20, 30, 30])) == pytest.approx(1.0)
    assert words_of("readLines(of_file, 2)") == ["read", "lines", "of", "file", "2"]
    assert words_of("Größe, ГДЕ кот?") == ["grösse", "где", "кот"]
    assert ranking.guess("Where does Ada live?", "Bo likes cake. Ada lives in the old town.") == "lives in the old town"
    scores = tf_idf(["cat mat"], ["the cat", "the dog", "a mat and a cat"])
    assert scores.argmax() == 2 and scores[0, 1] == 0


def test_an_index_is_kept_and_searched(tmp_path):
    index = Index(["a", "b", "c"], np.eye(3, dtype=np.float32))
    index.save(tmp_path / "vectors.npz")
    best, scores = Index.load(tmp_path / "vectors.npz").search(np.array([[0.1, 0.9, 0.5]]), 2)
    assert best.tolist() == [[1, 2]] and scores.tolist() == [[0.9, 0.5]]
    (tmp_path / "other.npz").write_bytes(b"no")
    with pytest.raises(Mistake, match="other.npz holds no vectors"):
        Index.load(tmp_path / "other.npz")


def batch_of(rows, blanks=0, **more):
    batch = {name: jnp.asarray(value) for name, value in {**rows, **more}.items()}
    return {name: jnp.concatenate([value, jnp.zeros((blanks, *value.shape[1:]), value.dtype)]) for name, value in batch.items()}


@pytest.mark.slow
@pytest.mark.parametrize("hard", [False, True])
def test_a_query_picks_its_document_among_all(hard):
    columns = [["the cat", "a mat", "sat on"], ["a cat", "the mat", "on a cat"], ["the", "a", "on"]][:3 if hard else 2]
    rows = compared(columns, TOKENIZER, 6).arrays
    model = model_of(BiEncoder)
    total, weight, metrics = contrastive(model, batch_of(rows, blanks=2))
    vectors = np.asarray(model(jnp.asarray(rows["tokens"]).reshape(-1, 6), present=jnp.asarray(rows["present"]).reshape(-1, 6)))
    vectors = vectors.reshape(3, len(columns), -1)
    scores = 20 * vectors[:, 0] @ np.concatenate([vectors[:, side] for side in range(1, len(columns))]).T
    forth = -np.diag(scores - np.log(np.exp(scores).sum(1, keepdims=True)))
    back = -np.diag(scores[:, :3] - np.log(np.exp(scores[:, :3]).sum(0)))
    assert weight == 3
    np.testing.assert_allclose(total, (forth + back).sum() / 2, rtol=1e-4)
    np.testing.assert_allclose(metrics["nats"][0], forth.sum(), rtol=1e-4)


@pytest.mark.slow
def test_cosines_and_logits_are_told_what_to_be():
    rows = compared([["the cat", "a mat"], ["a cat", "a mat"]], TOKENIZER, 6, score=np.array([0.5, 1.0], np.float32)).arrays
    total, weight, _ = likeness(model_of(BiEncoder), batch_of(rows, blanks=1))
    one, other = (model_of(BiEncoder)(jnp.asarray(rows["tokens"])[:, side], present=jnp.asarray(rows["present"])[:, side]) for side in (0, 1))
    np.testing.assert_allclose(total, (((one * other).sum(-1) - rows["score"]) ** 2).sum(), atol=1e-5)
    assert weight == 2
    rows = enclosed_pairs(["the cat", "a mat"], ["sat", "on"], TOKENIZER, 8)
    total, weight, _ = relevance(model_of(CrossEncoder.of), batch_of(rows, blanks=1, relevant=np.array([1, 0.25], np.float32)))
    logit = np.asarray(model_of(CrossEncoder.of)(jnp.asarray(rows["tokens"]), present=jnp.asarray(rows["present"])))[:, 0]
    chance = 1 / (1 + np.exp(-logit))
    assert weight == 2 and logit.shape == (2,)
    np.testing.assert_allclose(total, -np.log(chance[0]) - 0.25 * np.log(chance[1]) - 0.75 * np.log(1 - chance[1]), rtol=1e-5)


def test_a_reply_is_what_follows_the_question():
    class Successor:
        """Says the token after the one it sees."""

        def __call__(self, tokens):
            return jax.nn.one_hot(tokens + 1, 64)

    jax.tree_util.register_static(Successor)
    said = replies(Successor(), ["the cat", ""], ["sat", "on a"], TOKENIZER, 12)
    assert said == [TOKENIZER.decode([TOKENIZER.encode(word)[0] + 1]) for word in ("sat", "a")]


def test_a_document_told_twice_is_not_mined_for_itself():
    class Bag:
        """Counts the tokens."""

        def __call__(self, tokens, present, kinds):
            return jax.nn.one_hot(tokens, 64).sum(1)

    jax.tree_util.register_static(Bag)
    assert mined(Bag(), ["cat", "the cat", "mat"], ["the cat", "the cat", "a mat"], TOKENIZER, 6) == ["a mat", "a mat", "the cat"]


def test_a_users_pairs_and_labels_are_read_and_parted(tmp_path):
    (tmp_path / "a.csv").write_text("first,second,score\n" + "".join(f"text {n},other {n},{n % 5 + 1}\n" for n in range(40)))
    learned, away = labelled.scored_pairs(tmp_path / "a.csv")
    assert not set(learned[0]) & set(away[0]) and len(learned[0]) + len(away[0]) == 40 and max(learned[2]) == 1.0
    (tmp_path / "a.tsv").write_text("".join(f"query {n}\tdocument {n}\n" for n in range(40)))
    learned, away = labelled.paired(tmp_path / "a.tsv")
    assert learned[0] == ("query 0", "document 0") and away and not set(learned) & set(away)
    (tmp_path / "b.csv").write_text("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40)))
    (texts, classes), (unseen, _) = labelled.labelled_texts(tmp_path / "b.csv")
    assert classes.tolist() == [int(text.split()[1]) % 2 for text in texts] and unseen and not set(texts) & set(unseen)
