"""Passages and their questions: answers are where they are said to be, and held-out facts stay out."""
import re

import numpy as np
import pytest

from transformer.data.made.passages import PEOPLE, RELATIONS, VILLAGE, WORLD, every_fact, every_word, lesson, passage
from transformer.mistakes import Mistake


def some(count=200, **choices):
    rng = np.random.default_rng(0)
    return [passage(rng, **choices) for _ in range(count)]


@pytest.mark.parametrize("hops", [1, 2])
def test_the_answer_is_in_the_passage(hops):
    for one in some(2000, people=3, hops=hops):
        around = one.text[max(one.start - 1, 0) : one.start + len(one.answer) + 1]
        assert re.fullmatch(rf"\W?{one.answer}\W", around)
        assert one.answer.lower() in {word.lower() for fact in one.facts for word in (fact.person, fact.value)}
        assert len(one.steps) == hops and one.steps[-1][1] == one.answer


def test_only_the_fact_meant_answers():
    for one in some(people=3):
        right = [fact for fact in one.facts for value in (fact.value, fact.person) if value.lower() == one.answer.lower()
                 and one.question in (fact.asked(0), fact.asked(1), fact.asked_for_person())]
        assert len(right) == 1 and len(one.facts) == 6 and len({fact.value for fact in one.facts}) == 6


def test_two_hops_need_the_first():
    for one in some(hops=2):
        (first, person), (second, _) = one.steps
        assert person in second and person not in one.question and first != second


def test_what_is_held_out_is_never_stated_to_learn_from():
    stated = {fact for one in some() for fact in one.facts}
    held = {fact for one in some(held_out=True) for fact in one.facts}
    assert not stated & held and stated <= set(every_fact()) and held <= set(every_fact(held_out=True))
    everything = len(every_fact()) + len(every_fact(held_out=True))
    assert everything == len(PEOPLE) * sum(len(relation.values) for relation in RELATIONS.values())
    assert 0.15 < len(every_fact(held_out=True)) / everything < 0.25


def test_a_village_is_a_small_part_of_the_world():
    facts = {fact for one in some(place=VILLAGE) for fact in one.facts}
    assert {fact.person for fact in facts} == set(PEOPLE[:4]) and {fact.relation for fact in facts} == {"home", "work"}
    assert all(fact.value in RELATIONS[fact.relation].values[:6] for fact in facts) and facts < set(every_fact())
    with pytest.raises(Mistake, match="up to 4 people and up to 2 relations"):
        some(place=VILLAGE, people=5)


def test_a_lesson_asks_about_each_of_its_facts():
    rng = np.random.default_rng(0)
    for place in (VILLAGE, WORLD):
        for text, asked in (lesson(rng, 2, 2, place) for _ in range(50)):
            assert len(asked) == len(set(asked)) == text.count(".") == 4
            assert all(answer.lower() in text.lower() for _, answer in asked)


def test_every_word_is_known():
    known = {word for text in every_word() for word in re.findall(r"\w+|[.?]", text.lower())}
    asked = {word for one in some(hops=2) + some() for word in re.findall(r"\w+|[.?]", (one.text + " " + one.question).lower())}
    assert asked <= known


def test_a_question_that_cannot_be_asked_is_refused():
    with pytest.raises(Mistake, match="3 hops"):
        passage(np.random.default_rng(0), hops=3)
    with pytest.raises(Mistake, match="9 people"):
        passage(np.random.default_rng(0), people=9)
