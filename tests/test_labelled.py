"""Texts with classes, words with tags, questions with answers, as an encoder's examples."""
import numpy as np
import pytest

from transformer.data import tokenizers
from transformer.data.files import Answer, Question, Tagged
from transformer.data.labelled import (
    asked_anew,
    paired,
    parted,
    question_example,
    questions_with_answers,
    scored_pairs,
    tags_of,
    tell_cut,
    texts_with_class,
    words_with_classes,
)
from transformer.data.linear import bag_accuracy, logistic
from transformer.data.made import names, reviews
from transformer.mistakes import Mistake

TOKENIZER = tokenizers.word_pieces(["the cat sat on a mat in Rome and Bern", "who sat ? where"], 64, lowercase=False)


def said(ids):
    return TOKENIZER.decode(ids, specials=True)


def test_a_text_is_enclosed_and_loses_its_end():
    dataset = texts_with_class(["the cat sat", "the cat sat on a mat"], np.array([1, 0]), TOKENIZER, 6)
    assert said(dataset[0]["tokens"]) == "[CLS] the cat sat [SEP] [PAD]" and dataset[0]["label"] == 1
    assert said(dataset[1]["tokens"]) == "[CLS] the cat sat on [SEP]" and dataset[1]["present"].all()


def test_a_word_is_asked_for_at_its_first_piece():
    one = words_with_classes([["the", "Bernese", "sat"]], [np.array([0, 2, 1])], TOKENIZER, 16)[0]
    asked = one["weights"] > 0
    assert [said([token]) for token in one["tokens"][asked]] == ["the", "Bern", "sat"] or asked.sum() == 3
    assert one["labels"][asked].tolist() == [0, 2, 1] and tags_of(one["labels"], one, ["O", "x", "y"], 5) == ["O", "y", "x", "O", "O"]


def test_a_word_of_no_pieces_keeps_its_place():
    one = words_with_classes([["cat", "\u200b", "Rome", "Bern"]], [np.array([0, 0, 1, 2])], TOKENIZER, 16)[0]
    assert tags_of(one["labels"], one, ["O", "x", "y"], 4) == ["O", "O", "x", "y"] and one["tokens"][2] == TOKENIZER.unknown


def test_only_names_are_hidden_and_others_in_each_epoch():
    dataset = words_with_classes([["Rome", "and", "Bern"] * 8], [np.array([1, 0, 1] * 8)], TOKENIZER, 64, hidden=0.5).seed(0)
    plain = words_with_classes([["Rome", "and", "Bern"] * 8], [np.array([1, 0, 1] * 8)], TOKENIZER, 64).seed(0)[0]["tokens"]
    first, second = (dataset.repeat(2)[epoch]["tokens"] for epoch in range(2))
    changed = first != plain
    assert changed.any() and (first[changed] == TOKENIZER.mask).all() and (first != second).any()
    assert "and" not in said(plain[changed]) and "Rome" in said(plain[changed])


def test_a_question_points_at_its_answer(capsys):
    passage = "the cat sat on a mat in Rome"
    one, unanswered = (Question("1", "who sat ?", passage, given) for given in ((Answer("a mat", passage.index("a mat")),), ()))
    row = question_example(one, TOKENIZER, 24)
    assert row is not None and said(row["tokens"][row["first"] : row["last"] + 1]) == "a mat"
    assert said(row["tokens"][row["passage"]]) == passage and row["kinds"][row["passage"]].all() and not row["kinds"][0]
    assert question_example(one, TOKENIZER, 10) is question_example(unanswered, TOKENIZER, 24) is None
    kept, rows = questions_with_answers([one, unanswered, one], TOKENIZER, 24)
    assert kept == [one, one] and len(rows) == 2
    assert capsys.readouterr().err.startswith("1 of 3 questions are left out: they have no answer, or do not fit")
    with pytest.raises(Mistake, match="length 6"):
        questions_with_answers([one], TOKENIZER, 6)


def test_questions_made_anew_differ_between_epochs():
    def make(rng):
        words = rng.permutation(["cat", "mat", "Rome", "Bern"])
        return Question("1", "who sat ?", " ".join(words), (Answer(str(words[0]), 0),))

    dataset = asked_anew(make, 8, TOKENIZER, 16).seed(0).repeat(2)
    epochs = [[dataset[row + 8 * epoch]["tokens"].tolist() for row in range(8)] for epoch in range(2)]
    assert epochs[0] != epochs[1] and dataset[0]["tokens"].tolist() == epochs[0][0]


def test_a_text_is_on_one_side():
    learned, held = parted([f"text {number % 50}" for number in range(100)], lambda one: one)
    assert learned and held and not set(learned) & set(held) and len(learned) + len(held) == 100
    with pytest.raises(Mistake, match="none can be held out"):
        parted(["one"], lambda one: one)
    rare = held[0]
    learned, others = parted([f"text {number}" for number in range(50)], lambda one: one, lambda one: [one if one == rare else "usual"])
    assert rare in learned and sorted([*others, rare]) == sorted(set(held))


@pytest.mark.parametrize("read", [paired, scored_pairs])
def test_texts_that_hang_together_are_on_one_side(tmp_path, read):
    lines = [(f"{a} {n}", f"{b} {n}", "1") for n in range(20) for a, b in ("AB", "BA", "BC", "DC")]
    header = [("first", "second", "score")] if read is scored_pairs else []
    (tmp_path / "a.tsv").write_text("\n".join("\t".join(line) for line in [*header, *lines]))
    learned, away = ({text.split()[1] for one in (side if read is paired else zip(*side[:2], strict=True)) for text in one}
                     for side in read(tmp_path / "a.tsv"))
    assert len(away) == 2 and len(learned) == 18 and not learned & away
    (tmp_path / "a.tsv").write_text("\n".join("\t".join(line) for line in [*header, *lines[:4]]))
    with pytest.raises(Mistake, match="a.tsv holds 4 pairs that all hang together"):
        read(tmp_path / "a.tsv")


def test_it_is_said_how_many_texts_lose_their_end(capsys):
    tell_cut(["the cat sat", "the cat", "the cat sat on"], TOKENIZER, 4)
    assert capsys.readouterr().err.startswith("2 of 3 texts are longer than length 4 and lose their end")
    tell_cut(["the cat sat", "the cat"], TOKENIZER, 5)
    assert not capsys.readouterr().err


def test_reviews_say_what_they_say():
    drawn = reviews.reviews(3000, seed=0)
    held = reviews.reviews(500, seed=1, held_out=True)
    assert not {one.text for one in drawn} & {one.text for one in held}
    simple = {one.text: one.label for one in drawn}
    words = dict.fromkeys(reviews.GOOD, "good") | dict.fromkeys(reviews.BAD, "bad")
    for text, label in simple.items():
        main = text.split(" but ")[-1] if " but " in text else text.split(" , ")[-1] if "although" in text.split(" was ")[0] else text
        main = main.split(" although ")[0]
        adjective = next(word for word in main.split() if word in words)
        assert (words[adjective] == label) != (" not " in main), text


def test_names_of_held_out_sentences_are_new():
    learned, held = names.sentences(300, 0), names.sentences(100, 1, held_out=True)

    def of(some):
        return {" ".join(one.words[begin:end]) for one in some for begin, end, _ in names.spans(one.tags)}

    assert of(held) and not of(learned) & of(held)
    found = names.looked_up(learned, held)
    assert names.f1([one.tags for one in held], [one.tags for one in held]) == 1.0
    assert names.f1([one.tags for one in held], found) < 0.3
    assert names.f1([one.tags for one in learned], names.looked_up(learned, learned)) > 0.6


def test_spans_of_tags():
    assert names.spans(["B-x", "I-x", "O", "I-y", "B-y", "I-x"]) == {(0, 2, "x"), (3, 4, "y"), (4, 5, "y"), (5, 6, "x")}
    one = Tagged(("a", "b"), ("B-x", "O"), 1)
    assert names.looked_up([one], [Tagged(("b", "a", "c"), ("O", "O", "O"), 1)]) == [("O", "B-x", "O")]


def test_logistic_regression_parts_what_can_be_parted():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    features = np.eye(3)[labels] * 3 + random.normal(size=(300, 3))
    assert (logistic(features[:200], labels[:200], features[200:]) == labels[200:]).mean() > 0.9
    texts = [["not"] * bool(n % 2) + ["good"] for n in range(40)]
    truth = np.array([n % 2 for n in range(40)])
    assert bag_accuracy(texts[:20], truth[:20], texts[20:], truth[20:], 1) == 1.0
    order = [["a", "b"] if n % 2 else ["b", "a"] for n in range(40)]
    assert bag_accuracy(order[:20], truth[:20], order[20:], truth[20:], 1) < 0.8
    assert bag_accuracy(order[:20], truth[:20], order[20:], truth[20:], 2) == 1.0
