"""scrubadub's default detectors: texts as JSON on stdin, spans and seconds as JSON on stdout."""

import json
import sys
import time

sys.path.pop(0)  # this file is called like what it imports
import scrubadub

scrubber = scrubadub.Scrubber()
texts = json.load(sys.stdin)
list(scrubber.iter_filth("warm"))
start = time.perf_counter()
found = [[[f.beg, f.end] for f in scrubber.iter_filth(t)] for t in texts]
json.dump({"spans": found, "seconds": time.perf_counter() - start}, sys.stdout)
