"""Runs MST or AIM of opendp[mbi], at their defaults, on coded rows: python marginals.py MST|AIM codes.npz out.npz rho.

Prints CPU seconds of fit and sampling, and peak MB.
"""

import resource
import sys

import numpy as np
import opendp.extras.mbi._mst as mst
import opendp.prelude as dp
import polars as pl

dp.enable_features("contrib")
# opendp 0.16.0 splits the selection budget by 13 and then finds the sum one rounding error above it ("insufficient budget
# for query: 0.000685 > 0.00068499..."); giving each part 1e-12 less, relatively, lets it run and changes nothing measurable
mst.prior = lambda value: value * (1 - 1e-12)
method, source, target, rho = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
with np.load(source) as arrays:
    codes, sizes = arrays["codes"], arrays["sizes"]
names = [f"c{j}" for j in range(codes.shape[1])]
data = pl.LazyFrame({name: codes[:, j].tolist() for j, name in enumerate(names)})
context = dp.Context.compositor(data=data, privacy_unit=dp.unit_of(contributions=1), privacy_loss=dp.loss_of(rho=rho))
keys = {name: list(range(int(size))) for name, size in zip(names, sizes, strict=True)}
table = context.query(rho=rho).select(*names).contingency_table(keys=keys, algorithm=getattr(dp.mbi, method)()).release()
made = {way: table.synthesize(codes.shape[0], method=way) for way in ("sample", "round")}
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(u.ru_utime + u.ru_stime for u in used), used[0].ru_maxrss / 1024)
np.savez_compressed(target, **{k: np.stack([t[name].to_numpy() for name in names], axis=1) for k, t in made.items()})
