"""Writes texts with a language model, one character at a time, through its endpoint `step`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import Arrays

#: Calls `step`: ids (B,) and states by name in; `logits` (B, vocabulary_size) and `next_` states out.
Step = Callable[[Mapping[str, np.ndarray]], Arrays]

_UNKNOWN = 0  # is never written
#: Settings that a search for the best text has no use for.
_DRAWING = ("temperature", "top_k", "top_p", "seed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a text is written.

    Attributes:
        length: characters to write.
        temperature: logits are divided by it; 0 for the most probable character each time.
        top_k: draw among so many most probable characters; None for all.
        top_p: draw among the most probable characters that together have this probability; 1 for all.
        beams: texts that a search for the most probable text follows at the same time; 1 to draw.
        seed: seed of the draws.

    Raises:
        UsageError: for a value outside its range, or two that contradict each other.
    """

    length: int = 500
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float = 1.0
    beams: int = 1
    seed: int = 0

    def __post_init__(self):
        for name, low in (("length", 1), ("temperature", 0), ("top_k", 1), ("beams", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and not low <= value < float("inf"):
                raise UsageError(f"{name} is {value:g}, but it has to be {low} or more.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p:g}, but it has to be above 0 and at most 1.")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        given = [name for name in _DRAWING if getattr(self, name) != defaults[name]]
        if self.beams > 1 and given:
            raise UsageError(
                f"beams search the most probable text, but {' and '.join(given)} are for one that is drawn. "
                "Leave one or the other out."
            )

    def used(self) -> dict[str, int | float | None]:
        """Return the settings that say how, without the length: those of drawing, or the beams."""
        names = ("beams",) if self.beams > 1 else (*_DRAWING, "beams")
        return {name: getattr(self, name) for name in names}


def write(step: Step, states: Arrays, prompt: Sequence[int], settings: Settings) -> list[int]:
    """Return the ids that follow a prompt.

    Args:
        step: calls the network.
        states: those of one text before its first character, (1, ...) by name.
        prompt: ids of the text to be continued, one at least.
        settings: how it is written.
    """
    for character in prompt:
        logits, states = _call(step, [character], states)
    if settings.beams > 1:
        return _search(step, logits, states, settings)
    generator, written = np.random.default_rng(settings.seed), []
    for _ in range(settings.length):
        written.append(_draw(logits[0], settings, generator.random()))
        logits, states = _call(step, written[-1:], states)
    return written


def _call(step: Step, ids: Sequence[int], states: Arrays) -> tuple[np.ndarray, Arrays]:
    outputs = step({"ids": np.array(ids, np.int32), **states})
    return outputs["logits"].astype(np.float64), {name: outputs[f"next_{name}"] for name in states}


def _draw(logits: np.ndarray, settings: Settings, chance: float) -> int:
    """Return the id that a number between 0 and 1 stands for."""
    order = np.argsort(-_allowed(logits), kind="stable")
    if settings.temperature == 0:
        return int(order[0])
    below = _allowed(logits)[order]
    probabilities = np.exp((below - below[0]) / settings.temperature)
    probabilities /= probabilities.sum()
    kept = np.cumsum(probabilities) - probabilities < settings.top_p
    kept[len(kept) if settings.top_k is None else settings.top_k :] = False
    reached = np.cumsum(np.where(kept, probabilities, 0))
    return int(order[min(np.searchsorted(reached, chance * reached[-1], side="right"), kept.sum() - 1)])


def _search(step: Step, logits: np.ndarray, states: Arrays, settings: Settings) -> list[int]:
    """Return the most probable text that a beam search finds."""
    texts: list[list[int]] = [[]]
    scores = np.zeros(1)
    for _ in range(settings.length):
        known = _allowed(logits)
        known = known - known.max(axis=-1, keepdims=True)
        known -= np.log(np.exp(known).sum(axis=-1, keepdims=True))
        totals = (scores[:, None] + known).reshape(-1)
        best = np.argsort(-totals, kind="stable")[: settings.beams]
        best = best[np.isfinite(totals[best])]
        came, characters = np.divmod(best, logits.shape[-1])
        texts = [[*texts[beam], int(character)] for beam, character in zip(came, characters, strict=True)]
        scores = totals[best]
        logits, states = _call(step, characters, {name: value[came] for name, value in states.items()})
    return texts[0]


def _allowed(logits: np.ndarray) -> np.ndarray:
    """Return the logits without the unknown character."""
    allowed = logits.copy()
    allowed[..., _UNKNOWN] = -np.inf
    return allowed
