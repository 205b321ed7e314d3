#!/usr/bin/python3
"""A snapshot of a log without training: for measuring retrieval on data that has no model.

Users and items are those with an event before --until. Their embeddings are the truncated singular value
decomposition of the normalised adjacency D_u^-1/2 R D_i^-1/2 over the distinct pairs, each side times the
square root of the singular values: what LightGCN propagates along, without its training. Clusters are
k-means on them, the graph is replayed by the server's own code, and the only model is `dot`. The catalogue
has the ids for titles.

    bench/svd_snapshot.py build/globo.csv --until 1507431600 --name globo --out build/globo-snapshot
"""

import argparse
import csv
import itertools
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import scipy.sparse
from tqdm import tqdm

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import plain_log
from trainer import clusters, snapshot


def read(path, until_s):
    """(time in whole seconds, user id, item id) of the events before `until_s`."""
    events = [(int(time_s), user, item) for time_s, user, item
              in itertools.takewhile(lambda event: event[0] < until_s, plain_log.events(path))]
    if not events:
        raise ValueError(f"{path}: no event is before --until")
    return events


def truncated_svd(matrix, dim, seed, steps=7, more=16):
    """(left, values, right) of the `dim` largest, by subspace iteration from a random start.

    Halko, Martinsson and Tropp, Finding structure with randomness, SIAM Review 2011, algorithm 4.4.
    """
    basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], dim + more)).astype(np.float32)
    for _ in tqdm(range(steps), desc="singular vectors", disable=None):
        basis, _ = np.linalg.qr(matrix.T @ np.linalg.qr(matrix @ basis)[0])
    left, values, right = np.linalg.svd(matrix @ basis, full_matrices=False)
    return left[:, :dim], values[:dim], (right @ basis.T)[:dim]


def embeddings(user, item, shape, dim, seed):
    """(users, items) f32, `dim` wide."""
    pairs = np.unique(np.stack([user, item], axis=1), axis=0)
    ones = np.ones(len(pairs), np.float32)
    taken = scipy.sparse.csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=shape)
    scale = [scipy.sparse.diags(np.asarray(taken.sum(axis=axis)).ravel() ** -0.5) for axis in (1, 0)]
    left, values, right = truncated_svd((scale[0] @ taken @ scale[1]).tocsr(), dim, seed)
    root = np.sqrt(values)
    return (left * root).astype(np.float32), (right.T * root).astype(np.float32)


def write_graph(server, draft, events):
    """graph.safetensors, by the server's own fold of the events."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="") as log:
        writer = csv.writer(log, lineterminator="\n")
        writer.writerow(["timestamp", "user", "item"])
        writer.writerows(events)
        log.flush()
        subprocess.run([str(server), "replay", "--snapshot", str(draft), "--events", log.name,
                        "--graph-out", str(draft / "graph.safetensors")], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="CSV with timestamp (Unix seconds), user, item, in time order; .zst too")
    parser.add_argument("--until", type=float, required=True, help="Unix seconds: where the test begins")
    parser.add_argument("--name", required=True, help="of the snapshot")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory, to be created")
    parser.add_argument("--dim", type=int, default=64, help="width of the embeddings (default: 64)")
    parser.add_argument("--clusters", type=int, nargs=2, default=(20, 30), metavar=("USERS", "ITEMS"),
                        help="clusters (default: 20 30)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", type=pathlib.Path,
                        default=ROOT / "build/release/bin/groundswell-server")
    arguments = parser.parse_args()
    if not arguments.server.exists():
        sys.exit(f"{arguments.server} is not there: build it, or say --server")
    if arguments.out.exists():
        sys.exit(f"{arguments.out} is there already: name a new directory")
    began = time.monotonic()

    def done(step):
        print(f"[{time.monotonic() - began:6.1f} s] {step}", flush=True)

    try:
        events = read(arguments.log, arguments.until)
        arguments.out.mkdir(parents=True)
    except (OSError, ValueError) as error:
        sys.exit(f"svd_snapshot: {error}")
    users = {id_: index for index, id_ in enumerate(dict.fromkeys(event[1] for event in events))}
    items = {id_: index for index, id_ in enumerate(dict.fromkeys(event[2] for event in events))}
    done(f"{len(events)} events of {len(users)} users and {len(items)} items")
    snapshot.write_catalogue(arguments.out, users, [(id_, id_, "") for id_ in items])
    user, item = embeddings(np.array([users[event[1]] for event in events]),
                            np.array([items[event[2]] for event in events]),
                            (len(users), len(items)), arguments.dim, arguments.seed)
    snapshot.write_embeddings(arguments.out, user, item)
    done("embeddings")
    user_cluster, user_centroids = clusters.kmeans(user, arguments.clusters[0], arguments.seed)
    item_cluster, item_centroids = clusters.kmeans(item, arguments.clusters[1], arguments.seed)
    snapshot.write_clusters(arguments.out, user_cluster, item_cluster, user_centroids, item_centroids)
    done("clusters")
    fields = {
        "name": arguments.name, "version": snapshot.rfc3339(arguments.until),
        "create_time": snapshot.rfc3339(time.time()), "users": len(users), "items": len(items),
        "embedding_dim": arguments.dim, "user_clusters": arguments.clusters[0],
        "item_clusters": arguments.clusters[1], "graph_offset": len(events), "models": [],
        "metrics": {}, "data": {"embeddings": "truncated singular value decomposition"}}
    snapshot.write_manifest(arguments.out, fields)
    write_graph(arguments.server, arguments.out, events)
    fields["models"] = [{"name": "dot", "kind": "dot", "file": snapshot.EMBEDDINGS_FILE, "options": {}}]
    snapshot.write_manifest(arguments.out, fields)
    done(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
