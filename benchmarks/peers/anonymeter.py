"""Runs Anonymeter's singling-out attack: python anonymeter.py real.csv synthetic.csv control.csv. Prints risk, low, high."""

import sys
import warnings

import pandas as pd

# this file carries the package's name: take its folder off the path before importing the package
sys.path.pop(0)
from anonymeter.evaluators import SinglingOutEvaluator

warnings.simplefilter("ignore")
real, synthetic, control = (pd.read_csv(path, keep_default_na=False, dtype=str) for path in sys.argv[1:4])
for frame in (real, synthetic, control):
    for name in frame.columns:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if numbers.notna().all():
            frame[name] = numbers
evaluator = SinglingOutEvaluator(ori=real, syn=synthetic, control=control, n_attacks=500, n_cols=4)
evaluator.evaluate(mode="multivariate")
risk = evaluator.risk(confidence_level=0.95)
print(risk.value, risk.ci[0], risk.ci[1])
