"""RAM and flash of the MLPerf Tiny models: edgecnn beside TensorFlow Lite Micro.

    python benchmarks/memory.py [--json FILE]

edgecnn's RAM is the whole arena (input, output, activations, scratch); its flash is weights and
the code and constants of the generated C, compiled for a Cortex-M4 with the Clang of the ziglang
package at -O2. TFLite Micro's RAM is what its recording allocator reports on this machine: the
planned activations ("head"), and the persistent structures beside them ("tail", measured with
64-bit pointers; less on a 32-bit core). Its flash is the model file alone: interpreter and kernels
come on top. The models come from ``EDGECNN_SHARED`` or the folder beside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from edgecnn.loading import load_path
from edgecnn.passes.remove_channels import remove_channels
from firmware_export.c_writer import Provenance, to_c
from firmware_export.chooser import choose_kernels
from firmware_export.code_size import code_size
from firmware_export.device.target import choose
from firmware_export.scratch import generated

REPOSITORY = Path(__file__).resolve().parents[1]
MODELS = ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8")
CORE = "cortex-m4"
COLUMNS = (
    "model",
    "edgecnn arena",
    "TFLM head",
    "TFLM tail",
    "edgecnn weights",
    "edgecnn code",
    "model file",
)

# Runs apart: the allocator prints to the process's stderr, below Python.
_TFLM = """
import sys
import numpy as np
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 22)
details = interpreter.get_input_details(0)
interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
interpreter.invoke()
interpreter.print_allocations()
"""


def tflm_bytes(model: Path) -> tuple[int, int]:
    """TFLite Micro's planned activations and persistent structures, in bytes."""
    result = subprocess.run(
        [sys.executable, "-c", _TFLM, str(model)], capture_output=True, text=True, check=True
    )
    found = dict(re.findall(r"Arena allocation (head|tail) (\d+) bytes", result.stderr))
    return int(found["head"]), int(found["tail"])


def measure(model: Path) -> dict[str, int | str]:
    """One row of the table."""
    given = load_path(model)
    graph = remove_channels(given).graph
    target = choose(CORE, None)
    chosen = choose_kernels(graph, target, "balanced", given=given).selection.layers
    network = to_c(graph, "network", Provenance("", "", ""), chosen=chosen)
    with generated(graph, chosen=chosen) as artifact:
        assert artifact.c_directory is not None
        code = code_size(artifact.c_directory, artifact.name, network, CORE)
    head, tail = tflm_bytes(model)
    figures = (
        network.plan.arena_bytes,
        head,
        tail,
        network.weight_bytes,
        code.bytes,
        model.stat().st_size,
    )
    return dict(zip(COLUMNS, (model.stem, *figures), strict=True))


def main() -> int:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    shared = Path(os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared")
    paths = [shared / "models" / "mlperf_tiny" / f"{name}.tflite" for name in MODELS]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        print(f"memory.py: {missing[0]} is absent; set EDGECNN_SHARED", file=sys.stderr)
        return 2
    rows = [measure(path) for path in paths]
    print("| " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " ---: |" * (len(COLUMNS) - 1))
    for row in rows:
        cells = [f"{v:,}" if isinstance(v, int) else v for v in row.values()]
        print("| " + " | ".join(cells) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
