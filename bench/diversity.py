#!/usr/bin/python3
"""What diversity costs and gives: first pages of a running server by strength, against what users took next.

    bin/groundswell-server import --snapshot sample/online-retail --data-dir /tmp/diversity
    bin/groundswell-server serve --server.data_dir=/tmp/diversity &
    bench/diversity.py bin/groundswell

Asks for the first 20 items of every user of the bundled log who took an item for the first time after the
sample's graph ends, and prints per strength: Recall@20 and NDCG@20 of those items (seen items are left out, as the
server does), the mean cosine of two items of a page, the categories on a page, and the median of the server's time for it over that of ranking.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import plain_log
from trainer import safetensors

ITEMS = 20
LOG = ROOT / "data/online-retail/events.csv.zst"
TEST_FROM = 1_321_015_800  # 2011-11-11T12:50:00Z, where the sample's graph ends


def first_purchases(log):
    """By user: the items taken in the test period and not before."""
    before, after = {}, {}
    for time_s, user, item in plain_log.events(log):
        part = before if time_s < TEST_FROM else after
        if part is before or item not in before.get(user, ()):
            part.setdefault(user, set()).add(item)
    return {user: items for user, items in after.items() if user in before}


def unit_vectors():
    """The vectors of the sample's items by id, of length 1."""
    rows = safetensors.read(ROOT / "sample/online-retail/embeddings.safetensors")[0]["item"]
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    with open(ROOT / "sample/online-retail/items.jsonl", encoding="utf-8") as file:
        return {json.loads(line)["id"]: row for line, row in zip(file, rows, strict=True)}


def page(arguments, user, strength):
    command = [arguments.program, "--server", arguments.server, "--timeout-ms", "10000", "--json",
               "recommend", user, "-n", str(ITEMS), "--diversity", str(strength)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def seconds(answer, stage):
    return float(answer["timings"].get(stage, "0s")[:-1])


def mean_cosine(items, vectors):
    rows = np.array([vectors[item] for item in items if item in vectors])
    cosines = rows @ rows.T
    return (cosines.sum() - len(rows)) / (len(rows) * (len(rows) - 1))


def measure(arguments, strength, wanted, vectors):
    gains = 1 / np.log2(2 + np.arange(ITEMS))
    recall, ndcg, cosine, categories, arrange = [], [], [], [], []
    for number, (user, relevant) in enumerate(wanted.items()):
        if sys.stderr.isatty():
            print(f"\r{strength}: {number} of {len(wanted)} users ", end="", file=sys.stderr)
        answer = page(arguments, user, strength)
        items = [item["item_id"] for item in answer["items"]]
        hits = np.array([item in relevant for item in items])
        recall.append(hits.sum() / len(relevant))
        ndcg.append((hits * gains).sum() / gains[:len(relevant)].sum())
        cosine.append(mean_cosine(items, vectors))
        categories.append(len({item["category"] for item in answer["items"]}))
        arrange.append(seconds(answer, "arrange") / seconds(answer, "rank"))
    print(f"| {strength} | {np.mean(recall):.4f} | {np.mean(ndcg):.4f} | {np.mean(cosine):.3f} | "
          f"{np.mean(categories):.1f} | {statistics.median(arrange):.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="groundswell, the command line")
    parser.add_argument("--server", default="localhost:7100", help="its address")
    parser.add_argument("--strengths", default="0,.05,.1,.2,.3,.5,.8,1", help="comma-separated")
    parser.add_argument("--users", type=int, help="only the first so many")
    arguments = parser.parse_args()
    try:
        wanted, vectors = first_purchases(LOG), unit_vectors()
    except (OSError, ValueError) as error:
        sys.exit(f"diversity: {error}")
    wanted = dict(list(wanted.items())[:arguments.users])
    print(f"{len(wanted)} users\n")
    print("| strength | Recall@20 | NDCG@20 | mean cosine | categories | arrange / rank |\n"
          "|---|---|---|---|---|---|")
    try:
        for strength in arguments.strengths.split(","):
            measure(arguments, float(strength), wanted, vectors)
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
