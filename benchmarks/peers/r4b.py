"""fhir.resources' R4B models over NDJSON: resources per CPU-second, peak memory, refused. Files as arguments; JSON out."""

import json
import sys
import time
from pathlib import Path

import orjson
from fhir.resources.R4B import get_fhir_model_class

count = refused = 0
start = time.process_time()
for name in sys.argv[1:]:
    with Path(name).open("rb") as file:
        for line in file:
            data = orjson.loads(line)
            try:
                get_fhir_model_class(data["resourceType"])(**data)
            except ValueError:
                refused += 1
            count += 1
spent = time.process_time() - start
high = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
peak = int(high.split()[1]) / 1024  # not ru_maxrss, which remembers the parent
print(json.dumps({"per_second": count / spent, "count": count, "refused": refused, "peak_mb": peak}))
