#!/usr/bin/python3
"""Counts the instructions of ranking 240 candidates, per model, and those of the stages of a Recommend call
on the sample snapshot with default settings, and compares them with counts.json.

    instructions_test.py REQUEST RECOMMEND              count_request and count_recommend of a Release build
    instructions_test.py REQUEST RECOMMEND --update     writes what it counts into counts.json
    instructions_test.py REQUEST RECOMMEND --snapshot DIR   prints the stages on another snapshot, and compares nothing

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
SAMPLE = ROOT / "sample" / "online-retail"
STAGES_OF = "x86-64-v3"  # what the release preset compiles for: of others the models alone are counted
# The stages of a call, by the functions that they are. "recommend" is the whole: the user, the retrieval (and
# within it the sources), the choice by the blend, the ranking (and within it the ranker's scores).
STAGES = {
    "recommend": "groundswell::Pipeline::Recommend(",
    "recommend, user": "groundswell::ReadRequestUser(",
    "recommend, retrieval": "groundswell::Retrieval::Propose(",
    "recommend, embedding": "groundswell::ProposeNearest(",
    "recommend, next_items": "groundswell::ProposeNextItems(",
    "recommend, random_walk": "groundswell::ProposeWalked(",
    "recommend, trending": "groundswell::ProposeTrending(",
    "recommend, macro_node": "groundswell::ProposeOfCluster(",
    "recommend, popular": "groundswell::ProposePopular(",
    "recommend, choice": "groundswell::BlendOrder::Choose(",
    "recommend, ranking": "groundswell::Pipeline::Run::RankItems(",
    "recommend, scores": "groundswell::Scoring::Score(",
}


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


def count_stages(program, snapshot):
    """{stage: instructions of one call}, on average over the calls that the program makes."""
    with tempfile.TemporaryDirectory(prefix="groundswell-instructions-") as directory:
        profile = pathlib.Path(directory) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}",
                   "--toggle-collect=CountedRecommend", program, snapshot, directory]
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1",
                                    "OPENBLAS_NUM_THREADS": "1"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            sys.exit(f"instructions_test: {' '.join(map(str, command))} failed:\n{result.stderr}")
        calls = int(result.stdout.split()[-1])
        table = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", profile],
                               capture_output=True, text=True, check=True).stdout
    counts = {}
    for line in table.splitlines():
        row = re.match(r" *([\d,]+) \([^)]*\)  [^:]*:(.*)", line)
        for stage, function in STAGES.items():
            if row and row[2].startswith(function) and stage not in counts:
                counts[stage] = int(row[1].replace(",", "")) // calls
    if missing := STAGES.keys() - counts.keys():
        sys.exit(f"instructions_test: the profile has no function of {', '.join(sorted(missing))}")
    return counts


def count_all(program):
    with tempfile.TemporaryDirectory(prefix="groundswell-instructions-") as directory:
        subprocess.run([sys.executable, ROOT / "bench" / "random_weights.py", directory, *MODELS],
                       check=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(
                lambda model: count(program, f"{directory}/{model}.safetensors"), MODELS))
    return results[0][0], {model: number for model, (_, number) in zip(MODELS, results)}


def print_stages(architecture, stages):
    for stage, now in stages.items():
        print(f"{architecture}, {stage}: {now:,} instructions, {now / stages['recommend']:.1%}")


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
    parser.add_argument("request", type=pathlib.Path)
    parser.add_argument("recommend", type=pathlib.Path)
    parser.add_argument("--update", action="store_true", help="write counts.json")
    parser.add_argument("--snapshot", type=pathlib.Path, help="count the stages on this one")
    arguments = parser.parse_args()
    if "avx2" not in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        sys.exit("instructions_test: this processor has no AVX2, for which the counts are")
    if arguments.snapshot:
        print_stages(STAGES_OF, count_stages(arguments.recommend, arguments.snapshot))
        return
    architecture, counts = count_all(arguments.request)
    recorded = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
    before = recorded.get(architecture, {})
    for model, now in counts.items():
        print(f"{architecture}, {model}: {now:,} instructions, {now / CANDIDATES:,.0f} per candidate")
    if architecture == STAGES_OF:
        stages = count_stages(arguments.recommend, SAMPLE)
        print_stages(architecture, stages)
        counts |= stages
    if arguments.update:
        recorded[architecture] = counts
        COUNTS.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    problems = [text for model, now in counts.items() if (text := verdict(model, now, before.get(model)))]
    if problems:
        sys.exit("\n".join(problems) + "\nIf that is meant: instructions_test.py "
                 f"{arguments.request} {arguments.recommend} --update")


if __name__ == "__main__":
    main()
