"""Documents that say everything twice: who did what in order, and then who worked. What is lost in one place stands in another."""
import numpy as np

WORK = {
    "baker": "bakes bread", "smith": "forges iron", "farmer": "plants corn", "tailor": "sews coats", "sailor": "steers ships",
    "painter": "paints walls", "teacher": "teaches children", "doctor": "heals patients", "cook": "boils soup",
    "poet": "writes verses", "miner": "digs coal", "fisher": "catches trout", "weaver": "weaves cloth", "gardener": "waters roses",
    "driver": "drives buses", "singer": "sings songs", "judge": "hears cases", "mason": "lays bricks", "potter": "shapes clay",
    "barber": "cuts hair", "pilot": "flies planes", "brewer": "brews beer", "clerk": "sorts letters", "hunter": "tracks deer",
}
ORDER = ("first", "then", "finally")


def document(workers: list[str]) -> str:
    """What each of three did, and that they worked."""
    days = " ".join(f"{when} the {worker} {WORK[worker]} ." for when, worker in zip(ORDER, workers, strict=True))
    one, two, three = workers
    return f"{days} so the {one} , the {two} and the {three} worked ."


def documents(count: int, seed: int, but: frozenset[str] = frozenset()) -> list[str]:
    """Different documents, without those to be left out."""
    random, found = np.random.default_rng(seed), dict[str, None]()
    while len(found) < count:
        text = document([str(worker) for worker in random.choice(list(WORK), 3, replace=False)])
        if text not in but:
            found[text] = None
    return list(found)


def telling(left: str, text: str) -> bool:
    """Whether of every worker of a text something is left, by which a reader who knows all trades could tell who it was."""
    words = set(left.split())
    return all(words & {worker, *WORK[worker].split()} for worker in WORK if f"the {worker} " in text)
