"""Stories of errands: what someone does, in the order in which it is done. What follows on what can be told from both.

A story is a person and an errand; it is held out or it is not.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from transformer.data.tokenizers import Tokenizer

PEOPLE = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Irene", "Jack", "Kate", "Leo", "Maria", "Noah", "Olga",
    "Peter", "Rosa", "Sam", "Tina", "Umar", "Vera", "Walter", "Yusuf", "Zoe")
ERRANDS = (
    "buys potatoes, peels the potatoes, boils the soup, salts the soup, eats the soup",
    "packs a suitcase, calls a taxi, boards the plane, sleeps above the clouds, lands abroad",
    "plants the seeds, waters the bed, weeds the rows, picks the tomatoes, sells the tomatoes",
    "buys a canvas, sketches a face, mixes the colours, paints the portrait, frames the portrait",
    "opens the bonnet, removes the engine, oils the pistons, mounts the engine, drives the car",
    "finds a melody, writes the verses, rehearses the song, records the song, hears it on the radio",
    "feels ill, sees the doctor, fetches the pills, swallows the pills, gets well",
    "fells a tree, saws the planks, nails the boards, varnishes the table, dines at the table",
    "shears the sheep, spins the wool, knits a scarf, wraps the scarf, wears the scarf",
    "baits the hook, casts the line, waits for a bite, lands a trout, smokes the trout",
    "borrows a novel, reads the chapters, reaches the ending, reviews the novel, returns the novel",
    "catches a thief, questions the witness, files the charges, pleads in court, wins the trial",
    "climbs the foothills, pitches a tent, crosses the glacier, reaches the summit, descends the slope",
    "grinds the beans, heats the milk, brews the coffee, pours a cup, drinks the coffee",
    "hires actors, shoots the scenes, edits the film, rents a cinema, shows the film",
    "founds a party, writes a programme, gives speeches, wins the election, governs the country",
)


def stories(count: int, seed: int, held_out: bool = False) -> list[str]:
    """Each a text of its own, of some or all of the steps of its errand, in their order."""
    rng = np.random.default_rng(seed)
    pairs = [(person, errand) for person in PEOPLE for errand in ERRANDS
             if (zlib.crc32(f"{person} {errand}".encode()) % 5 == 0) == held_out]
    return [_story(*pairs[rng.integers(len(pairs))], rng) for _ in range(count)]


def told_by_names(pairs: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> float:
    """How often "of the same person, so it follows" is right about pairs of sentences."""
    names = {person.lower() for person in PEOPLE}
    halves = [[names & set(tokenizer.decode(row[kinds == side]).lower().split()) for side in (0, 1)]
              for row, kinds in zip(pairs["tokens"], pairs["kinds"], strict=True)]
    return float(np.mean([(one == other) == follows for (one, other), follows in zip(halves, pairs["follows"], strict=True)]))


def _story(person: str, errand: str, rng: np.random.Generator) -> str:
    steps = errand.split(", ")
    kept = sorted(rng.choice(len(steps), rng.integers(3, len(steps) + 1), replace=False))
    times = ("then ", "later ", "now ", "", "", "")
    said = [f"{times[rng.integers(6)]}{person} {steps[step]}." for step in kept]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in said)
