"""Runs AIM of opendp[mbi], at its defaults, on coded rows: python aim.py codes.npz out.npz rho. Prints CPU seconds and peak MB."""

import resource
import sys

import numpy as np
import opendp.prelude as dp
import polars as pl

dp.enable_features("contrib")
source, target, rho = sys.argv[1], sys.argv[2], float(sys.argv[3])
with np.load(source) as arrays:
    codes, sizes = arrays["codes"], arrays["sizes"]
names = [f"c{j}" for j in range(codes.shape[1])]
data = pl.LazyFrame({name: codes[:, j].tolist() for j, name in enumerate(names)})
context = dp.Context.compositor(data=data, privacy_unit=dp.unit_of(contributions=1), privacy_loss=dp.loss_of(rho=rho))
keys = {name: list(range(int(size))) for name, size in zip(names, sizes, strict=True)}
table = context.query(rho=rho).select(*names).contingency_table(keys=keys, algorithm=dp.mbi.AIM()).release()
made = table.synthesize(codes.shape[0], method="sample")
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(u.ru_utime + u.ru_stime for u in used), used[0].ru_maxrss / 1024)
np.savez_compressed(target, sample=np.stack([made[name].to_numpy() for name in names], axis=1))
