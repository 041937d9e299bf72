"""Passages of a few facts about people, and questions whose answer is a word of the passage.

In a passage everyone has one fact of every kind, so a question is answered only by who is meant together with what is
asked. A fact is held out or it is not: no passage to learn from states one that a held-out passage states.
"""

import re
import zlib
from dataclasses import dataclass

import numpy as np

from transformer.data.files import Answer, Question
from transformer.mistakes import Mistake


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class Relation:
    """What can be said of a person: how it is stated, how its value is asked for, how the person is, and in a question."""

    statements: tuple[str, ...]
    values: tuple[str, ...]
    what: tuple[str, ...]
    who: str
    one: str


PEOPLE = _words(
    "Anna Ben Clara David Emma Felix Grace Hugo Irene Jack Kate Leo Maria Noah Olga Peter Quinn Rosa Sam Tina Umar Vera "
    "Walter Zoe"
)
RELATIONS = {
    "home": Relation(
        ("{person} lives in {value}.", "The home of {person} is in {value}.", "{value} is where {person} lives."),
        _words("Rome Paris Oslo Cairo Lima Delhi Tokyo Quito Berlin Madrid Dublin Vienna Athens"),
        ("Where does {person} live?", "In which city is the home of {person}?"), "Who lives in {value}?", "lives in {value}"),
    "work": Relation(
        ("{person} works as a {value}.", "The job of {person} is that of a {value}.", "As a {value} works {person}."),
        _words("baker nurse pilot teacher farmer painter lawyer singer sailor writer doctor tailor"),
        ("What does {person} work as?", "What is the job of {person}?"), "Who works as a {value}?", "works as a {value}"),
    "food": Relation(
        ("{person} likes to eat {value}.", "The favourite food of {person} is {value}.", "{value} is what {person} eats."),
        _words("soup bread rice pasta fish cheese salad beans potatoes mushrooms cake honey"),
        ("What does {person} like to eat?", "What is the favourite food of {person}?"), "Who likes to eat {value}?",
        "likes to eat {value}"),
    "pet": Relation(
        ("{person} keeps a {value}.", "The pet of {person} is a {value}.", "A {value} belongs to {person}."),
        _words("cat dog horse rabbit parrot goat sheep donkey turtle snake lizard hamster"),
        ("Which animal does {person} keep?", "What is the pet of {person}?"), "Who keeps a {value}?", "keeps a {value}"),
    "music": Relation(
        ("{person} plays the {value}.", "The instrument of {person} is the {value}.", "On the {value} plays {person}."),
        _words("piano violin flute guitar trumpet harp drum cello organ clarinet trombone lute tuba"),
        ("What does {person} play?", "Which instrument is that of {person}?"), "Who plays the {value}?", "plays the {value}"),
}


@dataclass(frozen=True)
class Place:
    """Who lives there, and what can be said of them. In a small one a reader soon learns who is meant."""

    people: tuple[str, ...]
    relations: tuple[str, ...]
    values: int  # so many of each relation, the first ones

    def at_most(self, people: int, relations: int) -> tuple[int, int]:
        """So many people and relations, or all there are."""
        return min(people, len(self.people)), min(relations, len(self.relations))


WORLD = Place(PEOPLE, tuple(RELATIONS), max(len(relation.values) for relation in RELATIONS.values()))
VILLAGE = Place(PEOPLE[:4], ("home", "work"), 6)


@dataclass(frozen=True)
class Fact:
    person: str
    relation: str
    value: str

    @property
    def held_out(self) -> bool:
        """One in five facts, always the same ones."""
        return zlib.crc32(f"{self.person} {self.relation} {self.value}".encode()) % 5 == 0

    def statement(self, form: int = 0) -> str:
        said = RELATIONS[self.relation].statements[form].format(person=self.person, value=self.value)
        return said[0].upper() + said[1:]

    def asked(self, form: int = 0) -> str:
        """The question whose answer is the value."""
        return RELATIONS[self.relation].what[form].format(person=self.person)

    def asked_for_person(self) -> str:
        return RELATIONS[self.relation].who.format(value=self.value)


@dataclass(frozen=True)
class Passage:
    """A text, a question, the answer and where in the text it starts; of two hops, also the questions in between."""

    text: str
    question: str
    answer: str
    start: int
    facts: tuple[Fact, ...]  # in the order of the text, a sentence each
    steps: tuple[tuple[str, str], ...]  # single questions and answers that lead there


def passage(rng: np.random.Generator, people: int = 2, relations: int = 2, held_out: bool = False, hops: int = 1,
            place: Place = WORLD) -> Passage:
    """A new passage of people x relations facts. One hop asks for a value, or for a person;
    two hops ask for a value of one who is only described: "What does the one who lives in Rome like to eat?"
    """
    if hops not in (1, 2) or relations < hops:
        raise Mistake(f"A question of {hops} hops about {relations} relations cannot be asked: "
                      "give one hop, or two hops and at least two relations.")
    facts = facts_of(rng, people, relations, held_out, place)
    sentences = [fact.statement(int(rng.integers(3))) for fact in facts]
    text = " ".join(sentences)
    begins = np.cumsum([0] + [len(sentence) + 1 for sentence in sentences])

    def found(fact: Fact, word: str) -> tuple[str, int]:
        at = facts.index(fact)
        inside = re.search(rf"\b{word}\b", sentences[at], re.IGNORECASE)
        assert inside is not None
        start = int(begins[at]) + inside.start()
        return text[start : start + len(word)], start

    fact = facts[rng.integers(len(facts))]
    if hops == 1:
        if rng.random() < 0.25:
            question, (answer, start) = fact.asked_for_person(), found(fact, fact.person)
        else:
            question, (answer, start) = fact.asked(int(rng.integers(2))), found(fact, fact.value)
        return Passage(text, question, answer, start, tuple(facts), ((question, answer),))
    others = [other for other in facts if other.person == fact.person and other != fact]
    known = others[rng.integers(len(others))]
    form = int(rng.integers(2))
    described = f"the one who {RELATIONS[known.relation].one.format(value=known.value)}"
    answer, start = found(fact, fact.value)
    steps = ((known.asked_for_person(), known.person), (fact.asked(form), answer))
    return Passage(text, RELATIONS[fact.relation].what[form].format(person=described), answer, start, tuple(facts), steps)


def question(passage: Passage) -> Question:
    """The passage as a SQuAD file would have it."""
    return Question(passage.question, passage.question, passage.text, (Answer(passage.answer, passage.start),))


def facts_of(rng: np.random.Generator, people: int, relations: int, held_out: bool = False, place: Place = WORLD) -> list[Fact]:
    """Facts in random order, one of every chosen relation for everyone, of which no two have the same value."""
    most = min(8, len(place.people))
    if not (1 <= people <= most and 1 <= relations <= len(place.relations)):
        raise Mistake(f"There are no passages about {people} people and {relations} relations: "
                      f"give up to {most} people and up to {len(place.relations)} relations.")
    who = rng.choice(place.people, people, replace=False)
    what = rng.choice(place.relations, relations, replace=False)
    facts: list[Fact] = []
    for relation in what:
        for person in who:
            taken = {fact.value for fact in facts}
            possible = [fact for value in RELATIONS[relation].values[:place.values]
                        if value not in taken and (fact := Fact(str(person), str(relation), value)).held_out == held_out]
            if not possible:  # whoever has none left: begin again
                return facts_of(rng, people, relations, held_out, place)
            facts.append(possible[rng.integers(len(possible))])
    return [facts[at] for at in rng.permutation(len(facts))]


def lesson(rng: np.random.Generator, people: int, relations: int, place: Place) -> tuple[str, list[tuple[str, str]]]:
    """A passage to learn from, of all there are if not so many, and about each of its facts a question with its answer."""
    facts = facts_of(rng, *place.at_most(people, relations), place=place)
    text = " ".join(fact.statement(int(rng.integers(3))) for fact in facts)
    return text, [(fact.asked_for_person(), fact.person) if rng.random() < 0.25 else (fact.asked(int(rng.integers(2))), fact.value)
                  for fact in (facts[at] for at in rng.permutation(len(facts)))]


def every_fact(held_out: bool = False) -> list[Fact]:
    return [fact for person in PEOPLE for name, relation in RELATIONS.items() for value in relation.values
            if (fact := Fact(person, name, value)).held_out == held_out]


def every_word() -> list[str]:
    """Texts in which every word of every passage and question occurs, to make a tokenizer from."""
    facts = [Fact(person, name, relation.values[place % len(relation.values)])
             for name, relation in RELATIONS.items() for place, person in enumerate(PEOPLE)]
    return [" ".join([*(fact.statement(form) for form in range(3)), fact.asked(0), fact.asked(1), fact.asked_for_person(),
                      "The one who " + RELATIONS[fact.relation].one.format(value=fact.value)]) for fact in facts]


def overlapping(passage: Passage) -> str:
    """The baseline: of the sentence that shares most words with the question, the name or value that was not asked with."""
    asked = set(_lower(passage.question))

    def alike(fact: Fact) -> int:
        return max(len(asked & set(_lower(fact.statement(form)))) for form in range(3) if fact.statement(form) in passage.text)

    best = max(passage.facts, key=alike)
    return best.person if best.value.lower() in asked else best.value


def _lower(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
