#!/usr/bin/python3
"""Counts the instructions of ranking 240 candidates, per model, and compares them with counts.json.

    instructions_test.py PROGRAM              PROGRAM: count_request of a Release build
    instructions_test.py PROGRAM --update     writes what it counts into counts.json

Times differ between runs and machines; this count, made in valgrind, does not: the same programs and
libraries give the same number, but for a handful where data lies at another address. TOLERANCE leaves
room for other versions of the compiler and of Debian's libraries. A count that fell by more has to be
written down too, so that it cannot creep back. oneDNN and the C library choose their code by the
processor: valgrind's has AVX2, so a machine without it is refused.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COUNTS = HERE / "counts.json"
TOLERANCE = 0.05
CANDIDATES = 240  # of count_request.cc
MODELS = ("macgnn-none", "macgnn-neighbours", "surge-authors-50", "surge-paper-50-10",
          "dot")  # of bench/random_weights.py


def count(program, weights):
    """(the instruction set that the program was compiled for, instructions of one request)."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               "--toggle-collect=CountedRequest", program, weights]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1",
                                "OPENBLAS_NUM_THREADS": "1"}
    try:
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit("instructions_test: valgrind is missing; scripts/install-packages installs it")
    collected = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or not collected:
        sys.exit(f"instructions_test: {' '.join(map(str, command))} failed:\n{result.stderr}")
    return result.stdout.strip(), int(collected[1])


def count_all(program):
    with tempfile.TemporaryDirectory(prefix="groundswell-instructions-") as directory:
        subprocess.run([sys.executable, ROOT / "bench" / "random_weights.py", directory, *MODELS],
                       check=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(
                lambda model: count(program, f"{directory}/{model}.safetensors"), MODELS))
    return results[0][0], {model: number for model, (_, number) in zip(MODELS, results)}


def verdict(model, now, before):
    if before is None:
        return f"{model}: {now:,} instructions; counts.json has none to compare with"
    change = now / before - 1
    if abs(change) <= TOLERANCE:
        return None
    return (f"{model}: {now:,} instructions, {change:+.1%} to the {before:,} of counts.json "
            f"({TOLERANCE:.0%} are allowed)")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--update", action="store_true", help="write counts.json")
    arguments = parser.parse_args()
    if "avx2" not in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        sys.exit("instructions_test: this processor has no AVX2, for which the counts are")
    architecture, counts = count_all(arguments.program)
    recorded = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
    before = recorded.get(architecture, {})
    for model, now in counts.items():
        print(f"{architecture}, {model}: {now:,} instructions, {now / CANDIDATES:,.0f} per candidate")
    if arguments.update:
        recorded[architecture] = counts
        COUNTS.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    problems = [text for model, now in counts.items() if (text := verdict(model, now, before.get(model)))]
    if problems:
        sys.exit("\n".join(problems) + "\nIf that is meant: instructions_test.py "
                 f"{arguments.program} --update")


if __name__ == "__main__":
    main()
