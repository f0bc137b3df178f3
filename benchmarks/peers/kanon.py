"""anonypy's Mondrian on a table (its partitions and seconds), and pycanon's k of tables: JSON on stdin and stdout."""

import json
import sys
import time

import pandas as pd
from anonypy.mondrian import Mondrian
from pycanon import anonymity

asked = json.load(sys.stdin)
frame = pd.DataFrame(asked["table"])
for name in asked["categories"]:
    frame[name] = frame[name].astype("category")
start = time.perf_counter()
parts = [[int(i) for i in p] for p in Mondrian(frame, asked["quasi"]).partition(asked["k"])]
seconds = time.perf_counter() - start
checked = {name: int(anonymity.k_anonymity(pd.DataFrame(table), asked["quasi"])) for name, table in asked["check"].items()}
json.dump({"partitions": parts, "seconds": seconds, "k": checked}, sys.stdout)
