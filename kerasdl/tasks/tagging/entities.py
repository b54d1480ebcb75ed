"""Entities: runs of tokens that tags such as B-PER and I-PER mark as one name.

An entity begins at a tag B-X, S-X or U-X, and at any other tag of type X that does not follow a tag of X, or
follows one that ends an entity (E-X, L-X, S-X, U-X). It goes on while none of these begins another one, and
ends before O. That is the rule of CoNLL's own script (conlleval), which takes IOB1, IOB2 and IOBES, and tags
that break the rules of all of them.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

_OUTSIDE = "O"
_TAG = re.compile(r"([BIEMLSU])-(.+)")
_BEGINS, _ENDS = "BSU", "ELSU"

#: Type, first and last token of an entity.
Entity = tuple[str, int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Scheme:
    """What each tag of a set says of entities; number 0 is padding, which is as O.

    Attributes:
        types: names of the types of entities, sorted; empty where the tags mark none.
        type_of: number of the type of each tag, (K + 1,) int32, from 1 on; 0 outside of all entities.
        begins: whether a tag begins an entity wherever it stands, (K + 1,) bool.
        ends: whether an entity ends with it, (K + 1,) bool.
    """

    types: tuple[str, ...]
    type_of: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, tags: Sequence[str]) -> "Scheme":
        """Return what tags say; they mark entities where each is O or as B-PER, and one of them is so."""
        parts = [_TAG.fullmatch(tag) for tag in tags]
        marked = any(parts) and all(part or tag == _OUTSIDE for part, tag in zip(parts, tags, strict=True))
        found = [part if marked else None for part in (None, *parts)]
        types = tuple(sorted({part[2] for part in found if part}))
        return cls(
            types=types,
            type_of=np.array([types.index(part[2]) + 1 if part else 0 for part in found], np.int32),
            begins=np.array([bool(part) and part[1] in _BEGINS for part in found]),
            ends=np.array([bool(part) and part[1] in _ENDS for part in found]),
        )

    def entities(self, numbers: Sequence[int]) -> list[Entity]:
        """Return the entities of a sentence, in order, from the numbers of its tags."""
        found: list[Entity] = []
        before = 0
        for place, number in enumerate(numbers):
            kind = self.type_of[number]
            if kind:
                goes_on = kind == self.type_of[before] and not (self.begins[number] or self.ends[before])
                first = found.pop()[1] if goes_on else place
                found.append((self.types[kind - 1], first, place))
            before = number
        return found
