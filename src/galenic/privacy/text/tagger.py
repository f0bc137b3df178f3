"""The trained tagger: hashed letters of each token, then dilated convolutions over its neighbors (numpy, one core)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

import numpy as np

from galenic.errors import OptionError
from galenic.privacy.text.tokenization import Bounds, features, flags, tokenize

BLOCK = 2_000  # tokens that are scored together
MAX_CACHED = 200_000  # tokens with cached vectors


@dataclass
class Tagger:
    """Tagger of tokens. labels: classes; each has a column for the first token of a span and one for the following tokens."""

    labels: tuple[str, ...]
    dilations: tuple[int, ...]
    weights: dict[str, np.ndarray]
    others: list["Tagger"] = field(default_factory=list)
    _rows: dict[str, int] = field(default_factory=dict)
    _vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @classmethod
    def load(cls, place: Path | IO[bytes]) -> "Tagger":
        """Load a model that training/deid/train.py wrote. Raise OptionError if the file is not a valid model."""
        try:
            with np.load(place) as stored:
                every = {k: stored[k] for k in stored.files if k not in ("labels", "dilations")}
                labels, dilations = tuple(map(str, stored["labels"])), tuple(int(d) for d in stored["dilations"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise OptionError(
                f"the model cannot be read ({type(error).__name__}). Expected an .npz file written by training/deid/train.py."
            ) from error
        members: dict[str, dict[str, np.ndarray]] = {}
        for key, value in every.items():  # several members: 0/table.weight, 1/table.weight, ...
            number, _, name = key.rpartition("/")
            members.setdefault(number, {})[name] = value
        first, *others = [cls(labels, dilations, _prepared(weights, len(dilations))) for weights in members.values()]
        first.others = others
        return first

    def tag(self, text: str) -> tuple[list[Bounds], np.ndarray]:
        """Bounds of each token, and probabilities (tokens, 1 + 2 * labels), the mean of all members."""
        bounds, p = self._tag(text)
        if self.others:
            p = (p + sum(other._tag(text)[1] for other in self.others)) / (1 + len(self.others))
        return bounds, p

    def _tag(self, text: str) -> tuple[list[Bounds], np.ndarray]:
        bounds = tokenize(text)
        if not bounds:
            return bounds, np.zeros((0, 1 + 2 * len(self.labels)), np.float32)
        rows = self._rows_of([text[a:b] for a, b in bounds])
        hidden = self._vectors[rows] + flags(text, bounds) @ self.weights["flags"] + self.weights["enter.bias"]
        reach = sum(self.dilations)
        parts = []
        for a in range(0, len(bounds), BLOCK):
            b = min(a + BLOCK, len(bounds))
            c, d = max(a - reach, 0), min(b + reach, len(bounds))
            parts.append(self._scores(hidden[c:d])[a - c : b - c])
        scores = np.concatenate(parts)
        scores -= scores.max(1, keepdims=True)
        np.exp(scores, out=scores)
        return bounds, scores / scores.sum(1, keepdims=True)

    def _rows_of(self, tokens: list[str]) -> np.ndarray:
        known = self._rows
        fresh = [t for t in dict.fromkeys(tokens) if t not in known]
        if fresh:
            if len(known) + len(fresh) > MAX_CACHED:
                known.clear()
                self._vectors = self._vectors[:0]
                fresh = list(dict.fromkeys(tokens))
            table = self.weights["table.weight"]
            new = np.stack([table[features(t)].sum(0) for t in fresh])
            start = len(known)
            self._vectors = np.concatenate([self._vectors[:start].reshape(start, table.shape[1]), new])
            known.update((t, start + i) for i, t in enumerate(fresh))
        return np.fromiter((known[t] for t in tokens), np.int64, len(tokens))

    def _scores(self, hidden: np.ndarray) -> np.ndarray:
        w = self.weights
        h = np.maximum(hidden, 0)
        n, width = h.shape
        for i, d in enumerate(self.dilations):
            wide = np.zeros((n, 3 * width), np.float32)
            wide[d:, :width] = h[: max(n - d, 0)]
            wide[:, width : 2 * width] = h
            wide[: max(n - d, 0), 2 * width :] = h[d:]
            h = h + np.maximum(wide @ w[f"k{i}"] + w[f"blocks.{i}.bias"], 0)
            h -= h.mean(1, keepdims=True)
            h /= np.sqrt((h * h).mean(1, keepdims=True) + 1e-5)
            h = h * w[f"norms.{i}.weight"] + w[f"norms.{i}.bias"]
        scores: np.ndarray = h @ w["leave.weight"].T + w["leave.bias"]
        return scores


def _prepared(weights: dict[str, np.ndarray], layers: int) -> dict[str, np.ndarray]:
    """Weights in the layout that `Tagger` uses."""
    if "table.scale" in weights:  # stored as bytes, a scale for each row
        weights["table.weight"] = (
            weights["table.weight"].astype(np.float32) * weights.pop("table.scale").astype(np.float32)[:, None]
        )
    weights = {k: v.astype(np.float32) for k, v in weights.items()}
    for i in range(layers):  # (out, in, 3) → (3 * in, out)
        kernel = weights[f"blocks.{i}.weight"]
        weights[f"k{i}"] = np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, kernel.shape[0]))
    enter, wide = weights["enter.weight"], weights["table.weight"].shape[1]
    weights["table.weight"] = weights["table.weight"] @ enter[:, :wide].T  # the first layer, folded into the table
    weights["flags"] = np.ascontiguousarray(enter[:, wide:].T)
    return weights


def decode_spans(labels: tuple[str, ...], bounds: list[Bounds], p: np.ndarray) -> list[tuple[int, int, str]]:
    """Most probable spans with their labels (Viterbi 1967). A span continues with its first label. p: from `tag`."""
    if not bounds:
        return []
    logs = np.log(p + 1e-9)
    n, classes = logs.shape
    best = logs[0].copy()
    best[2::2] = -np.inf  # nothing goes on at the start
    came = np.zeros((n, classes), np.int64)
    begins, goes = np.arange(1, classes, 2), np.arange(2, classes, 2)
    for t in range(1, n):
        top = int(best.argmax())
        new = np.full(classes, best[top])
        came[t] = top
        stay = best[goes] > best[begins]
        new[goes] = np.where(stay, best[goes], best[begins])
        came[t, goes] = np.where(stay, goes, begins)
        best = new + logs[t]
    state = int(best.argmax())
    path = [state]
    for t in range(n - 1, 0, -1):
        state = int(came[t, state])
        path.append(state)
    out: list[list[int]] = []
    for (a, b), state in zip(bounds, reversed(path), strict=True):
        if state % 2:
            out.append([a, b, state // 2])
        elif state and out:
            out[-1][1] = b
    return [(a, b, labels[k]) for a, b, k in out]
