"""Short requests made by rules, with the names in them tagged: sentences without a download."""

from collections.abc import Sequence

import numpy as np

from kerasdl.data.text.columns import Sentence

_PEOPLE = ("Anna", "Jonas", "Mei", "Omar", "Ruth", "Ivan", "Lucia", "Peter", "Aisha", "Tom", "Nora", "Emil")
_FAMILIES = (
    "Berg", "Costa", "Novak", "Tanaka", "Okafor", "Lindholm", "Moretti", "Fischer", "Sato", "Haddad",
    "Petrov", "Nilsson", "Romano", "Winkler", "Achebe", "Sandoval",
)  # fmt: skip
_CITIES = (
    "Lisbon", "Hamburg", "Kyoto", "Oslo", "Nairobi", "Toronto", "Cusco", "Geneva", "Split", "Bath",
    "New Haven", "Cape Town", "Santa Cruz", "Green Bay", "Turin", "Mobile",
)  # fmt: skip
_FIRMS = ("Berg", "Fischer", "Winkler", "Lisbon", "Cusco", "Novak", "Green", "Atlas", "Meridian", "Cobalt")
_FORMS = ("Motors", "Bank", "& Sons", "Airlines", "Press", "Foods")
_DAYS = (
    "Monday",
    "Tuesday",
    "Friday",
    "Sunday",
    "tomorrow",
    "next week",
    "the 3rd of May",
    "the 21st of June",
)
# Names stand in braces. A name alone does not tell what it is: Berg is a person, a firm or in one of a firm.
_SENTENCES = (
    "please book a table for {PER} in {LOC} on {DATE}",
    "call {PER} from {ORG} before {DATE}",
    "{PER} wants to fly from {LOC} to {LOC} on {DATE}",
    "did {ORG} answer the letter of {PER} ?",
    "send the report of {ORG} to {PER} , not to {PER}",
    "the office of {ORG} in {LOC} is closed on {DATE}",
    "who met {PER} in {LOC} ?",
    "{ORG} and {ORG} meet in {LOC} , said {PER}",
    "remind me on {DATE} to write to {PER}",
    "the split between {ORG} and {ORG} was on {DATE}",
    "take a bath , then call {PER}",
    "my mobile is broken , tell {PER} in {LOC}",
    "there is nothing to do in {LOC}",
    "how is the weather in {LOC} on {DATE} ?",
)
_COUNTS = {"train": 1600, "validation": 300, "test": 500}
_NEW = 4  # names of each kind, the last ones, that only validation and test have


def splits() -> dict[str, list[Sentence]]:
    """Return 2,400 different requests, always the same, with tags in IOB2: PER, ORG, LOC and DATE.

    They were made by rules, not by people. Some words are names in one place and none in another (a bath, the
    split, Bath, Split), surnames are names of firms too, and four given names, surnames, cities and firms are
    in no training sentence, so that a word alone does not tell its tag.
    """
    random, seen = np.random.RandomState(0), set()
    found: dict[str, list[Sentence]] = {name: [] for name in _COUNTS}
    for name, count in _COUNTS.items():
        while len(found[name]) < count:
            sentence = _sentence(random, known=name == "train")
            if (text := " ".join(sentence[0])) not in seen:
                seen.add(text)
                found[name].append(sentence)
    return found


def _sentence(random: np.random.RandomState, known: bool) -> Sentence:
    """Draw a sentence; a known one has no new names in it."""

    def one(words: Sequence[str], new: int = 0) -> str:
        return words[random.randint(len(words) - new * known)]

    def name(kind: str) -> str:
        if kind == "PER":
            given, family = one(_PEOPLE, _NEW), one(_FAMILIES, _NEW)
            return (given, family, f"{given} {family}")[random.randint(3)]
        if kind == "ORG":
            firm = one(_FIRMS, _NEW)
            return firm if random.randint(4) == 0 else f"{firm} {one(_FORMS)}"
        return one(_CITIES, _NEW) if kind == "LOC" else one(_DAYS)

    tokens: list[str] = []
    tags: list[str] = []
    for word in one(_SENTENCES).split():
        kind = word[1:-1] if word.startswith("{") else None
        parts = name(kind).split() if kind else [word]
        tokens += parts
        tags += [f"{'I' if place else 'B'}-{kind}" if kind else "O" for place in range(len(parts))]
    return tokens, tags
