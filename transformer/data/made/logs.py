"""Logs of what services did in a day, and a summary of each that can be checked: when, how many failures, and whose was the last."""
from collections import Counter
from collections.abc import Sequence

import numpy as np

SERVICES = ("web", "mail", "db", "cache", "queue", "search", "login", "video", "maps", "bank", "chat", "print")
DEEDS = ("started", "stopped", "restarted", "failed")
TIMES = [f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(0, 60, 15)]


def logs(count: int, seed: int, fewest: int = 4, most: int = 9, but: frozenset[str] = frozenset()) -> list[str]:
    """Different logs, without those to be left out."""
    random, found = np.random.default_rng(seed), dict[str, None]()
    while len(found) < count:
        events = random.integers(fewest, most + 1)
        at = np.sort(random.choice(len(TIMES), events, replace=False))
        chances = np.asarray([0.2, 0.2, 0.2, 0.4])
        text = " . ".join(f"{TIMES[time]} {random.choice(SERVICES)} {random.choice(DEEDS, p=chances)}" for time in at)
        if text not in but:
            found[text] = None
    return list(found)


def summary(log: str) -> str:
    """What is to be written of a log: the program that judges every answer."""
    events = [event.split() for event in log.split(" . ")]
    failed = [service for _, service, deed in events if deed == "failed"]
    tail = f"{len(failed)} failed , the last was {failed[-1]}" if failed else "none failed"
    return f"{events[0][0]} to {events[-1][0]} : {tail}"


def times_and_a_guess(learned: Sequence[str], unseen: Sequence[str]) -> float:
    """How often a summary is right that copies the times and guesses the rest as it most often is."""
    likely = Counter(summary(log).split(" : ")[1] for log in learned).most_common(1)[0][0]
    return sum(summary(log).endswith(f" : {likely}") for log in unseen) / len(unseen)
