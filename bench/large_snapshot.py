#!/usr/bin/python3
"""Writes an invented snapshot of any size into DIR, to measure what the bundled sample is too small for.

    bench/large_snapshot.py build/large                                   100,000 users and items
    bench/large_snapshot.py build/huge --users 1000000 --items 1000000 --interactions 20000000
    bench/large_snapshot.py build/large --models surge-authors-50 --active-users 10000

Users and items lie around common centres. A user takes items by their popularity, which follows Zipf's
law, mostly of the own centre; every user as many as any other, but the active ones, who take
--active-interactions more each. The rankers have random weights of the published sizes. The same call
always writes the same bytes. Users are called bench-user-0, bench-user-1, ..., as ingest_bench calls them.
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from random_weights import MODELS, tensors
from trainer import safetensors, snapshot

CENTRES = 1_000
NOISE = 0.35  # of a coordinate beside its centre's, which has a deviation of 1
OWN_CENTRE = 0.7  # of a user's interactions
CATEGORIES = 100
USER_CLUSTERS, ITEM_CLUSTERS = 20, 30  # as the rankers' weights have them
BEGIN_S, SPAN_S = 1_320_000_000, 2_000_000
FIRST_MODELS = ("macgnn-none", "macgnn-neighbours")


def vectors(random, centres, count):
    of_centre = random.randint(0, len(centres), count)
    noise = random.standard_normal((count, centres.shape[1])).astype(np.float32) * np.float32(NOISE)
    matrix = centres[of_centre] + noise
    return matrix / np.sqrt(np.float32(centres.shape[1])), of_centre


def clusters(random, count, matrix):
    """Whole centres belong to one cluster; its centroid is the mean of its members."""
    of_row = random.randint(0, count, CENTRES)[matrix[1]]
    centroids = np.stack([matrix[0][of_row == node].mean(axis=0) for node in range(count)])
    return of_row.astype(np.int32), centroids.astype(np.float32)


def taken_items(random, user_centre, item_centre, draws):
    """One item for every draw of a user's centre: Zipf's law over all items, or over the centre's."""
    rank_of = random.permutation(len(item_centre))
    by_popularity = np.argsort(rank_of)
    by_centre = np.lexsort((rank_of, item_centre))
    begin = np.searchsorted(item_centre[by_centre], np.arange(CENTRES + 1))

    def zipf(sizes):  # a rank below each size; its density falls with 1 / (rank + 1)
        return (np.exp(random.random_sample(len(sizes)) * np.log(sizes + 1.0)) - 1.0).astype(np.int64)

    sizes = np.diff(begin)[user_centre]
    own = (random.random_sample(draws) < OWN_CENTRE) & (sizes > 0)
    anywhere = by_popularity[zipf(np.full(draws, len(item_centre)))]
    nearby = by_centre[np.minimum(begin[user_centre] + zipf(np.maximum(sizes, 1)), len(item_centre) - 1)]
    return np.where(own, nearby, anywhere)


def graph(random, user_centre, item_centre, interactions, more_of_active):
    user = np.sort(np.concatenate([random.randint(0, len(user_centre), interactions), more_of_active]))
    interactions = len(user)
    item = taken_items(random, user_centre[user], item_centre, interactions)
    key, count = np.unique(user * len(item_centre) + item, return_counts=True)
    user, item = key // len(item_centre), key % len(item_centre)
    begin = np.zeros(len(user_centre) + 1, dtype=np.int64)
    np.cumsum(np.bincount(user, minlength=len(user_centre)), out=begin[1:])
    offset = random.permutation(len(key)) + 1
    time_us = (BEGIN_S + offset * SPAN_S // len(key)) * 1_000_000
    return {"user_begin": begin, "item": item, "count": count.astype(np.int64),
            "last_time_us": time_us, "last_offset": offset.astype(np.int64)}


def write_models(directory, names, users, items):
    listed = []
    for name in names:
        shapes, options = MODELS[name]
        rows = {"user_embed.weight": users + 1, "item_embed.weight": items + 1}
        sized = {tensor: (rows.get(tensor, shape[0]), *shape[1:]) for tensor, shape in shapes.items()}
        safetensors.write(directory / f"{name}.safetensors", tensors(sized))
        listed.append({"name": name, "kind": name.split("-")[0], "file": f"{name}.safetensors",
                       "options": {key: str(value) for key, value in options.items()}})
    return listed


def progress(what):
    print(f"large_snapshot: {what}", file=sys.stderr, flush=True)


def write(arguments):
    directory = arguments.directory
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(arguments.seed)
    progress("embeddings and clusters")
    centres = random.standard_normal((CENTRES, arguments.dim)).astype(np.float32)
    users, items = (vectors(random, centres, count) for count in (arguments.users, arguments.items))
    snapshot.write_embeddings(directory, users[0], items[0])
    user_clusters, user_centroids = clusters(random, USER_CLUSTERS, users)
    item_clusters, item_centroids = clusters(random, ITEM_CLUSTERS, items)
    snapshot.write_clusters(directory, user_clusters, item_clusters, user_centroids, item_centroids)
    progress("catalogue")
    snapshot.write_catalogue(
        directory, (f"bench-user-{user}" for user in range(arguments.users)),
        ((f"item-{item}", f"Item {item}", f"category {item % CATEGORIES}") for item in range(arguments.items)))
    progress("interactions")
    more_of_active = np.repeat(np.arange(arguments.active_users), arguments.active_interactions)
    edges = graph(random, users[1], items[1], arguments.interactions, more_of_active)
    safetensors.write(directory / "graph.safetensors", edges)
    progress("rankers and manifest")
    models = write_models(directory, arguments.models, arguments.users, arguments.items)
    snapshot.write_manifest(directory, {
        "name": "invented", "version": str(arguments.seed), "create_time": snapshot.rfc3339(BEGIN_S + SPAN_S),
        "users": arguments.users, "items": arguments.items, "embedding_dim": arguments.dim,
        "user_clusters": USER_CLUSTERS, "item_clusters": ITEM_CLUSTERS,
        "graph_offset": len(edges["item"]), "models": models, "metrics": {}})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=2_000_000)
    parser.add_argument("--dim", type=int, default=64, help="of the embeddings that retrieval uses")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", nargs="+", choices=[name for name in MODELS if name != "dot"],
                        default=FIRST_MODELS, help="the first is the default ranker")
    parser.add_argument("--active-users", type=int, default=0, help="how many, from the first on")
    parser.add_argument("--active-interactions", type=int, default=80)
    arguments = parser.parse_args()
    for name, least in (("users", CENTRES), ("items", CENTRES), ("interactions", 1), ("dim", 1)):
        if getattr(arguments, name) < least:
            parser.error(f"--{name} must be at least {least}")
    if not 0 <= arguments.active_users <= arguments.users:
        parser.error("--active-users must be at most --users, and not negative")
    write(arguments)


if __name__ == "__main__":
    main()
