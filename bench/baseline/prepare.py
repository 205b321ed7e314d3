#!/usr/bin/python3
"""Makes of a snapshot what bench/baseline/baseline_server serves, into DIR.

    bench/baseline/prepare.py build/large build/baseline

A FAISS index of the items (of the kind and with the parameters that our server chooses), a TorchScript
module of every model (bench/torch), and dump.rdb: a Redis with the features of all users and items as a
feature pipeline would keep them, one packed row each. The features are those that our server gathers from
its live graph: macro edges of both hops, newest neighbours, the user's vector. Needs python3-faiss,
python3-redis, python3-torch and redis-server (scripts/install-packages --baseline).
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import faiss
import numpy as np
import redis
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT), str(ROOT / "bench" / "torch")]

import checkpoint
from trainer import safetensors

# As index/vectors/faiss_index.cc has them.
FLAT_ITEMS_MAX = 50_000
SAMPLE_ROWS_PER_LIST, TRAINING_ROUNDS = 64, 10
VECTOR_ITEMS = 50  # newest items that a user's vector is made of (index/vectors/live_vectors.h)
KEYS_PER_COMMAND = 1_000


def progress(what):
    print(f"prepare: {what}", file=sys.stderr, flush=True)


class Redis:
    """A Redis of our own, at a Unix socket in DIR, with DIR/dump.rdb if there is one."""

    def __init__(self, directory):
        self.socket = str(directory / "redis.sock")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", str(directory),
             "--save", "", "--appendonly", "no", "--loglevel", "warning"], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=self.socket, socket_timeout=600)
        self._wait_until_loaded()

    def _wait_until_loaded(self):
        while True:
            try:
                self.client.ping()
                return
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                if self.process.poll() is not None:
                    sys.exit("redis-server did not start; its message stands above")
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


class Graph:
    """The edges of graph.safetensors, by user and newest last, with what is made of them."""

    def __init__(self, snapshot, manifest):
        edges, _ = safetensors.read(snapshot / "graph.safetensors")
        clusters, _ = safetensors.read(snapshot / "clusters.safetensors")
        self.user_count, self.item_count = manifest["users"], manifest["items"]
        self.user_clusters, self.item_clusters = manifest["user_clusters"], manifest["item_clusters"]
        user = np.repeat(np.arange(self.user_count), np.diff(edges["user_begin"]))
        # The newest interactions of a user have an edge each: one per item here, the newest's time.
        is_last = np.append((np.diff(user) != 0) | (np.diff(edges["item"]) != 0), True)
        sums = np.cumsum(edges["count"].astype(np.float64))[is_last]
        self.count = np.diff(sums, prepend=0)
        self.user, self.item = user[is_last], edges["item"][is_last].astype(np.int64)
        self.begin = np.searchsorted(self.user, np.arange(self.user_count + 1))
        self.when = np.empty(len(self.item), dtype=np.int64)  # places in the order of time
        self.when[np.lexsort((edges["last_offset"][is_last],
                              edges["last_time_us"][is_last]))] = np.arange(len(self.item))
        self.cluster_of_user, self.cluster_of_item = clusters["user"], clusters["item"]

    def one_hop(self, row, rows, cluster, clusters):
        sums = np.bincount(row * clusters + cluster, weights=self.count, minlength=rows * clusters)
        return sums.reshape(rows, clusters)

    def two_hop(self, row, rows, one_hop, other):
        return np.stack([np.bincount(row, weights=self.count * column[other], minlength=rows)
                         for column in one_hop.T], axis=1)

    def newest(self, row, rows, other, length):
        """The rows (index + 1) of the newest neighbours, newest first, 0 behind the last."""
        order = np.lexsort((-self.when, row))
        degree = np.bincount(row, minlength=rows)
        place = np.arange(len(row)) - np.repeat(np.cumsum(degree) - degree, degree)
        kept = place < length
        result = np.zeros((rows, length), dtype=np.int32)
        result[row[order][kept], place[kept]] = other[order][kept] + 1
        return result


def user_vectors(graph, newest, embeddings):
    """The trained vectors moved towards the newest items', as our server does (docs/retrieval.md)."""
    degree_of_user = np.maximum(np.diff(graph.begin), 1).astype(np.float32)
    degree_of_item = np.maximum(np.bincount(graph.item, minlength=graph.item_count), 1).astype(np.float32)
    result = np.array(embeddings["user"], dtype=np.float32)
    for column in newest[:, :VECTOR_ITEMS].T:
        users = np.flatnonzero(column)
        items = column[users] - 1
        norm = 1 / np.sqrt(degree_of_user[users] * degree_of_item[items])
        result[users] += embeddings["item"][items] * norm[:, None]
    return result


def as_bytes(*columns):
    """One row of bytes per row of the matrices of four-byte numbers."""
    rows = np.concatenate([np.ascontiguousarray(c).view(np.int32) for c in columns], axis=1)
    return rows.view(f"V{4 * rows.shape[1]}").ravel()


def put(client, prefix, names, values, what):
    for begin in range(0, len(names), KEYS_PER_COMMAND):
        end = min(begin + KEYS_PER_COMMAND, len(names))
        client.mset({f"{prefix}:{names[at]}": values(at) for at in range(begin, end)})
        if begin % (200 * KEYS_PER_COMMAND) == 0:
            progress(f"{what} {begin:,} of {len(names):,}")


def write_users(client, graph, snapshot, newest, one_hop, two_hop):
    ids = [json.loads(line)["id"] for line in open(snapshot / "users.jsonl", encoding="utf-8")]
    embeddings, _ = safetensors.read(snapshot / "embeddings.safetensors")
    head = np.stack([np.arange(graph.user_count) + 1, np.diff(graph.begin)], axis=1).astype(np.int32)
    fixed = as_bytes(head, one_hop.astype(np.float32), two_hop.astype(np.float32),
                     user_vectors(graph, newest, embeddings), newest)
    seen = graph.item.astype(np.int32)  # ascending within a user
    begin = graph.begin
    put(client, "u", ids, lambda at: fixed[at].tobytes() + seen[begin[at]:begin[at + 1]].tobytes(), "user")


def write_items(client, graph, newest, one_hop, two_hop):
    rows = as_bytes(one_hop.astype(np.float32), two_hop.astype(np.float32), newest)
    put(client, "i", range(graph.item_count), lambda at: rows[at].tobytes(), "item")


def fill_redis(directory, snapshot, manifest, history, item_users):
    progress("features")
    graph = Graph(snapshot, manifest)
    user_one_hop = graph.one_hop(graph.user, graph.user_count, graph.cluster_of_item[graph.item],
                                 graph.item_clusters)
    item_one_hop = graph.one_hop(graph.item, graph.item_count, graph.cluster_of_user[graph.user],
                                 graph.user_clusters)
    store = Redis(directory)
    try:
        store.client.flushall()
        write_items(store.client, graph,
                    graph.newest(graph.item, graph.item_count, graph.user, item_users), item_one_hop,
                    graph.two_hop(graph.item, graph.item_count, user_one_hop, graph.user))
        write_users(store.client, graph, snapshot,
                    graph.newest(graph.user, graph.user_count, graph.item, history), user_one_hop,
                    graph.two_hop(graph.user, graph.user_count, item_one_hop, graph.item))
        progress("saving Redis")
        store.client.save()
    finally:
        store.stop()


def write_index(path, vectors):
    """What `retrieval.factory` auto stands for. Returns nprobe."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if len(vectors) <= FLAT_ITEMS_MAX:
        index, nprobe = faiss.index_factory(vectors.shape[1], "Flat", faiss.METRIC_INNER_PRODUCT), 1
    else:
        lists = 2 ** int(np.log2(np.sqrt(32 * len(vectors))))
        nprobe = int(2 * np.sqrt(lists))
        index = faiss.index_factory(vectors.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.niter = TRAINING_ROUNDS
        index.train(vectors[::max(1, len(vectors) // (SAMPLE_ROWS_PER_LIST * lists))])
    index.add(vectors)
    faiss.write_index(index, str(path))
    return nprobe


def write_rankers(directory, snapshot, manifest):
    listed = []
    for model in manifest["models"]:
        options = model["options"]
        tensors, _ = safetensors.read(snapshot / model["file"])
        torch.jit.script(checkpoint.build(tensors, options)).save(str(directory / f"{model['name']}.pt"))
        recent_len = int(options["max_history" if model["kind"] == "surge" else "recent_len"])
        listed.append({"name": model["name"], "kind": model["kind"], "recent_len": recent_len})
    return listed


def prepare(snapshot, directory):
    manifest = json.loads((snapshot / "manifest.json").read_text(encoding="utf-8"))
    directory.mkdir(parents=True, exist_ok=True)
    progress("TorchScript modules")
    rankers = write_rankers(directory, snapshot, manifest)
    history = max([VECTOR_ITEMS] + [one["recent_len"] for one in rankers])
    item_users = max([1] + [one["recent_len"] for one in rankers if one["kind"] == "macgnn"])
    fill_redis(directory, snapshot, manifest, history, item_users)
    progress("FAISS index")
    embeddings, _ = safetensors.read(snapshot / "embeddings.safetensors")
    nprobe = write_index(directory / "items.faiss", embeddings["item"])
    # Last: what is there is complete.
    (directory / "service.json").write_text(json.dumps({
        "user_clusters": manifest["user_clusters"], "item_clusters": manifest["item_clusters"],
        "dim": manifest["embedding_dim"], "history": history, "item_users": item_users, "nprobe": nprobe,
        "snapshot_version": f"{manifest['name']}@{manifest['version']}",
        "catalogue": str((snapshot / "items.jsonl").resolve()), "rankers": rankers}), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=pathlib.Path)
    parser.add_argument("directory", type=pathlib.Path)
    arguments = parser.parse_args()
    prepare(arguments.snapshot, arguments.directory.resolve())


if __name__ == "__main__":
    main()
