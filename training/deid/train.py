"""Trains the tagger of identifiers: python train.py en OUT.npz --guard DATA/guard. Needs torch; what it writes does not."""

import argparse
import random
import time
from pathlib import Path

import numpy as np
import torch
from galenic.privacy.text.tokenization import BUCKETS, FLAGS, MOST, features, flags, tokenize
from texts import KINDS, UNSURE, Text, corpus
from torch import nn
from values import World

LABELS = ("NAME", "LOCATION", "ORGANIZATION", "DATE", "AGE", "CONTACT", "ID")
WINDOW = 192
HERE = Path(__file__).parent
_cache: dict[str, np.ndarray] = {}


def ids(token: str) -> np.ndarray:
    found = _cache.get(token)
    if found is None:
        found = np.zeros(MOST, np.int64)
        own = features(token)
        found[: len(own)] = own
        if len(_cache) < 500_000:
            _cache[token] = found
    return found


def encode(text: Text, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tokens, MOST) buckets, (tokens, FLAGS), labels: 0 outside, 1 + 2k begins class k, 2 + 2k goes on; -100 unsure."""
    bounds = tokenize(text.text)
    y = np.zeros(len(bounds), np.int64)
    spans = sorted(text.spans)
    at = 0
    last = -1
    for i, (a, b) in enumerate(bounds):
        while at < len(spans) and spans[at][1] <= a:
            at += 1
        if at < len(spans) and spans[at][0] < b and a < spans[at][1]:
            label = spans[at][2]
            y[i] = -100 if label == UNSURE else 1 + 2 * labels.index(label) + (last == at)
            last = at
    x = np.stack([ids(text.text[a:b]) for a, b in bounds]) if bounds else np.zeros((0, MOST), np.int64)
    return x, flags(text.text, bounds), y


class Tagger(nn.Module):
    """Sums of hashed embeddings, then residual dilated convolutions."""

    def __init__(self, classes: int, width: int, dilations: tuple[int, ...], wide: int = 64) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(BUCKETS, wide, mode="sum", padding_idx=0)
        nn.init.zeros_(self.table.weight)  # a bucket that was never seen says nothing
        self.enter = nn.Linear(wide + FLAGS, width)
        self.blocks = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in dilations)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in dilations)
        self.leave = nn.Linear(width, classes)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor, f: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x (B, T, MOST), f (B, T, FLAGS), mask (B, T) of 0 and 1 → (B, T, classes)."""
        b, t, m = x.shape
        h = self.table(x.reshape(b * t, m)).reshape(b, t, -1)
        h = torch.relu(self.enter(torch.cat([self.drop(h), f], -1))) * mask[..., None]
        for block, norm in zip(self.blocks, self.norms, strict=True):
            h = norm(h + torch.relu(block(h.transpose(1, 2)).transpose(1, 2))) * mask[..., None]
            h = self.drop(h)
        return self.leave(h)


def batches(texts: list[tuple], size: int, rng: random.Random | None) -> list[tuple]:
    """Windows of about the same length together."""
    windows = []
    for x, f, y in texts:
        for a in range(0, len(y), WINDOW):
            windows.append((x[a : a + WINDOW], f[a : a + WINDOW], y[a : a + WINDOW]))
    windows.sort(key=lambda w: len(w[2]) + (rng.random() * 8 if rng else 0))
    found = []
    a = 0
    while a < len(windows):
        b, most = a, 0
        while b < len(windows) and max(most, len(windows[b][2])) * (b - a + 1) <= size:
            most = max(most, len(windows[b][2]))
            b += 1
        b = max(b, a + 1)
        part, most = windows[a:b], max(len(w[2]) for w in windows[a:b])
        if most:
            x = np.zeros((len(part), most, MOST), np.int64)
            f = np.zeros((len(part), most, FLAGS), np.float32)
            y = np.full((len(part), most), -100, np.int64)
            k = np.zeros((len(part), most), np.float32)
            for i, (p, q, r) in enumerate(part):
                n = len(r)
                x[i, :n], f[i, :n], y[i, :n], k[i, :n] = p, q, r, 1
            found.append(tuple(map(torch.from_numpy, (x, f, y, k))))
        a = b
    if rng:
        rng.shuffle(found)
    return found


def hidden(x: torch.Tensor, y: torch.Tensor, blind: float) -> torch.Tensor:
    """Without the word itself for half of what is planted and a tenth of the rest: letters and context must do. blind: share of
    words outside of which nothing at all is seen: no template is to be known by heart."""
    x = x.clone()
    x = torch.where(((torch.rand(y.shape) < blind) & (y <= 0))[..., None], 0, x)
    drop = torch.rand(y.shape) < torch.where(y > 0, 0.5, 0.1)
    x[..., 0] = torch.where(drop, 0, x[..., 0])
    more = (torch.rand(y.shape) < 0.05)[..., None] & (torch.arange(x.shape[-1]) > 0)
    return torch.where(more & (torch.rand(x.shape) < 0.5), 0, x)


def train(
    net: Tagger, epochs: int, make, rate: float, say=print, blind: float = 0.0, *, averaged: bool = True, seed: int = 7
) -> None:
    """averaged: the mean of the last weights is kept (exponential, 0.998)."""
    rng = random.Random(seed)
    best = torch.optim.AdamW(net.parameters(), rate, weight_decay=0.01)
    plan = None
    mean = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    for epoch in range(epochs):
        start, total, seen = time.time(), 0.0, 0
        todo = batches(make(epoch), 6_000, rng)
        if plan is None:
            plan = torch.optim.lr_scheduler.OneCycleLR(
                best, rate, total_steps=int(epochs * len(todo) * 1.1) + 50, pct_start=0.1
            )
        net.train()
        for x, f, y, k in todo:
            out = net(hidden(x, y, blind), f, k)
            loss = nn.functional.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1), ignore_index=-100)
            best.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            best.step()
            mean.update_parameters(net)
            if plan.last_epoch < plan.total_steps - 1:
                plan.step()
            total, seen = total + loss.item() * int((y >= 0).sum()), seen + int((y >= 0).sum())
        say(f"epoch {epoch}: loss {total / seen:.4f}, {seen:,} tokens, {time.time() - start:.0f} s", flush=True)
    if averaged:
        net.load_state_dict(mean.module.state_dict())


def save(nets: list[Tagger], labels: tuple[str, ...], dilations: tuple[int, ...], out: Path) -> None:
    """One file for all members, as galenic.privacy.text.tagger reads them: tables in bytes, a scale for each row."""
    state = {}
    for number, net in enumerate(nets):
        own = {k: v.detach().numpy() for k, v in net.state_dict().items()}
        table = own["table.weight"]
        scale = (np.abs(table).max(1) / 127).astype(np.float16)
        own["table.scale"] = scale
        own["table.weight"] = (
            np.round(table / np.maximum(scale.astype(np.float32), 1e-9)[:, None]).clip(-127, 127).astype(np.int8)
        )
        state |= {f"{number}/{k}": v for k, v in own.items()}
    np.savez_compressed(out, **state, labels=np.array(labels), dilations=np.array(dilations))


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("out", type=Path)
    ask.add_argument("--guard", type=Path, required=True)
    ask.add_argument("--epochs", type=int, default=6)
    ask.add_argument("--texts", type=int, default=12_000)
    ask.add_argument("--width", type=int, default=64)
    ask.add_argument("--dilations", default="1,2,4,8,1")
    ask.add_argument("--blind", type=float, default=0.0)
    ask.add_argument("--strewn", type=float, default=0.0)
    ask.add_argument("--real", type=float, default=0.3)
    ask.add_argument("--without", default="", help="kinds of templates that are held out, to see how it does on them")
    given = ask.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(2)
    world = World(random.Random(1))
    dilations = tuple(int(d) for d in given.dilations.split(","))
    net = Tagger(1 + 2 * len(LABELS), given.width, dilations)

    def make(_epoch: int) -> list[tuple]:
        texts = corpus(
            world, HERE / "templates", given.guard, given.texts, kinds=kinds, real_share=given.real, strewn=given.strewn
        )
        return [encode(t, LABELS) for t in texts]

    kinds = tuple(k for k in KINDS if k not in given.without.split(","))
    train(net, given.epochs, make, 3e-3, blind=given.blind)
    save([net], LABELS, dilations, given.out)


if __name__ == "__main__":
    main()
