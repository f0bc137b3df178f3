"""Exact discrete Gaussian noise from the operating system's cryptographic generator, vectorized on integers.

Canonne, Kamath & Steinke 2020, "The Discrete Gaussian for Differential Privacy", Algorithms 1-3. No floating point enters
a decision, so attacks on floating-point noise (Mironov 2012) do not apply. Never seeded.
"""

import os
import secrets
from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

_TOP = 2**62  # every intermediate product must stay below this to be exact in int64


def discrete_gaussian(sigma2: Fraction, size: int) -> Integers:
    """Independent draws from the discrete Gaussian N_Z(0, sigma2), shape (size,).

    sigma2: variance parameter, above 0; a rational with a small denominator keeps the arithmetic in 64 bits.
    Raises ValueError if sigma2 is not positive.
    """
    return discrete_gaussians([sigma2], [size])


def discrete_gaussians(sigma2s: Sequence[Fraction], sizes: Sequence[int]) -> Integers:
    """Draws with several variance parameters at once: sizes[i] of sigma2s[i], concatenated, shape (sum of sizes,)."""
    if any(s <= 0 for s in sigma2s):
        raise ValueError("sigma2 must be above 0")
    if any(_is_wide(s) for s in sigma2s):
        return np.concatenate([_draw(s, n) for s, n in zip(sigma2s, sizes, strict=True)])
    p, q = (np.repeat(np.array(a, dtype=np.int64), sizes) for a in zip(*(s.as_integer_ratio() for s in sigma2s), strict=True))
    t = np.repeat(np.array([_proposal_scale(s) for s in sigma2s], dtype=np.int64), sizes)
    out = np.empty(p.size, dtype=np.int64)
    todo = np.arange(p.size)
    while todo.size:
        scale, top, bottom = t[todo], p[todo], q[todo]
        y = _discrete_laplace(scale)
        near = np.abs(y) <= 64 * scale
        a = np.where(near, np.abs(y), 0) * (scale * bottom) - top
        keep = _bernoulli_exp(a * a, 2 * top * bottom * scale * scale) & near
        out[todo[keep]] = y[keep]
        todo = todo[~keep]
    return out


def _draw(sigma2: Fraction, size: int) -> Integers:
    if _is_wide(sigma2):
        return np.array([_wide(sigma2) for _ in range(size)], dtype=np.int64)
    return discrete_gaussian(sigma2, size)


def _proposal_scale(sigma2: Fraction) -> int:
    return _floor_sqrt(sigma2.numerator, sigma2.denominator) + 1


def _is_wide(sigma2: Fraction) -> bool:
    """True if a product could exceed 64 bits. A proposal beyond 64 t would be accepted with probability below e^-1900; it is
    rejected, so that this bound holds."""
    p, q, t = sigma2.numerator, sigma2.denominator, _proposal_scale(sigma2)
    return (64 * t * t * q + p) ** 2 >= _TOP or 2 * p * q * t * t >= _TOP


def _wide(sigma2: Fraction) -> int:
    """One draw by the same algorithm in unbounded integers, for parameters with products beyond 64 bits."""
    p, q, t = sigma2.numerator, sigma2.denominator, _proposal_scale(sigma2)
    while True:
        y = _wide_laplace(t)
        if _wide_bernoulli_exp((abs(y) * t * q - p) ** 2, 2 * p * q * t * t):
            return y


def _wide_bernoulli_exp(a: int, b: int) -> bool:
    while a > b:
        if not _wide_bernoulli_exp(1, 1):
            return False
        a -= b
    k = 1
    while secrets.randbelow(b * k) < a:
        k += 1
    return k % 2 == 1


def _wide_laplace(t: int) -> int:
    while True:
        u = secrets.randbelow(t)
        if not _wide_bernoulli_exp(u, t):
            continue
        v = 0
        while _wide_bernoulli_exp(1, 1):
            v += 1
        y, negative = u + t * v, secrets.randbelow(2) == 1
        if not (negative and y == 0):
            return -y if negative else y


def _floor_sqrt(p: int, q: int) -> int:
    """floor(sqrt(p / q)) in integer arithmetic."""
    return isqrt(p // q)


def _uniform_below(bound: Integers) -> Integers:
    """Uniform integers in [0, bound), elementwise, by rejection from 63 random bits: exact."""
    out = np.empty(bound.shape, dtype=np.int64)
    todo = np.arange(bound.size)
    while todo.size:
        u = (np.frombuffer(os.urandom(8 * todo.size), dtype=np.uint64) >> np.uint64(1)).astype(np.int64)
        b = bound[todo]
        # 2^63 - 1 is int64's largest; the largest multiple of b not above it bounds the accepted range.
        top = np.iinfo(np.int64).max // b * b
        keep = u < top
        out[todo[keep]] = u[keep] % b[keep]
        todo = todo[~keep]
    return out


def _bernoulli_exp_below_one(a: Integers, b: Integers) -> Booleans:
    """Bernoulli(exp(-a/b)) for 0 <= a <= b, elementwise (Algorithm 1, first case)."""
    k = np.ones(a.shape, dtype=np.int64)
    odd = np.zeros(a.shape, dtype=np.bool_)
    todo = np.arange(a.size)
    while todo.size:
        # Bernoulli(a / (b k)) = Bernoulli(a / b) and Bernoulli(1 / k), which keeps the products small.
        go = (_uniform_below(b[todo]) < a[todo]) & (_uniform_below(k[todo]) == 0)
        odd[todo[~go]] = k[todo[~go]] % 2 == 1
        todo = todo[go]
        k[todo] += 1
    return odd


def _bernoulli_exp(a: Integers, b: Integers) -> Booleans:
    """Bernoulli(exp(-a/b)) for a >= 0, b >= 1, elementwise (Algorithm 1)."""
    whole, rest = a // b, a % b
    alive = np.ones(a.shape, dtype=np.bool_)
    one = np.ones(a.shape, dtype=np.int64)
    todo = np.flatnonzero(whole > 0)
    done = np.zeros(a.shape, dtype=np.int64)
    while todo.size:
        alive[todo] = _bernoulli_exp_below_one(one[todo], one[todo])
        done[todo] += 1
        todo = todo[alive[todo] & (done[todo] < whole[todo])]
    live = np.flatnonzero(alive)
    alive[live] = _bernoulli_exp_below_one(rest[live], b[live])
    return alive


def _discrete_laplace(t: Integers) -> Integers:
    """Discrete Laplace with scale t, elementwise (Algorithm 2 with s = 1)."""
    out = np.empty(t.size, dtype=np.int64)
    todo = np.arange(t.size)
    while todo.size:
        bound = t[todo]
        u = _uniform_below(bound)
        keep = _bernoulli_exp_below_one(u, bound)
        v = np.zeros(todo.size, dtype=np.int64)
        running = np.flatnonzero(keep)
        one = np.ones(todo.size, dtype=np.int64)
        while running.size:
            running = running[_bernoulli_exp_below_one(one[running], one[running])]
            v[running] += 1
        y = u + bound * v
        negative = _uniform_below(one * 2) == 1
        keep &= ~(negative & (y == 0))
        out[todo[keep]] = np.where(negative, -y, y)[keep]
        todo = todo[~keep]
    return out
