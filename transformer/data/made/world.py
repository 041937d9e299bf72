"""A world that nobody has learned: everyone has one held-out fact of every kind; and excerpts of other worlds to learn reading from.

For readers that see only what came before, whoever a fact is about is named before its value.
"""

import dataclasses

import numpy as np

from transformer.data.made.passages import PEOPLE, RELATIONS, WORLD, Fact, Passage, Place, facts_of, passage

Asked = tuple[str, str]  # a question and its answer


def world(rng: np.random.Generator) -> list[Fact]:
    facts = []
    for person in PEOPLE:
        for relation, said in RELATIONS.items():
            possible = [fact for value in said.values if (fact := Fact(person, relation, value)).held_out]
            facts += [possible[rng.integers(len(possible))]] if possible else []
    return facts


def stated(rng: np.random.Generator, fact: Fact) -> str:
    return fact.statement(int(rng.integers(2)))


def asked(rng: np.random.Generator, fact: Fact) -> Asked:
    return fact.asked(int(rng.integers(2))), fact.value


def excerpt(rng: np.random.Generator, statements: int) -> tuple[str, list[Asked]]:
    """Some statements about two people, none held out, and a question about each."""
    facts = facts_of(rng, people=2, relations=2)[:statements]
    return " ".join(stated(rng, fact) for fact in facts), [asked(rng, facts[at]) for at in rng.permutation(len(facts))]


def lesson(rng: np.random.Generator, relations: int = 2, place: Place = WORLD) -> tuple[str, list[Asked]]:
    """A passage with one question of two hops, or with all of one hop, about what is so of someone or who someone is."""
    if relations > 1 and rng.random() < 0.25:
        one = told(rng, passage(rng, hops=2, place=place))
        return one.text, [(one.question, one.answer)]
    facts = facts_of(rng, 2, relations, place=place)
    chosen = [facts[at] for at in rng.permutation(len(facts))]
    return " ".join(stated(rng, fact) for fact in facts), [
        (fact.asked_for_person(), fact.person) if rng.random() < 0.5 else asked(rng, fact) for fact in chosen]


def examinations(rng: np.random.Generator, count: int) -> list[Passage]:
    """Held-out passages with a question of two hops each."""
    return [told(rng, passage(rng, held_out=True, hops=2)) for _ in range(count)]


def told(rng: np.random.Generator, one: Passage) -> Passage:
    """The same passage in the forms of this world."""
    text = " ".join(stated(rng, fact) for fact in one.facts)
    return dataclasses.replace(one, text=text, start=text.lower().index(one.answer.lower()))
