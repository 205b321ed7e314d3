"""Recall@20 and NDCG@20 of what a server answers, beside two baselines.

The server must hold the snapshot and no interaction after it. Every user with a past before the cut
and a first purchase after it is asked for once; the baselines get the same users and leave out the
same seen items.
"""

import contextlib
import importlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import grpc
import numpy as np
from tqdm import tqdm

from trainer import data, evaluation, metrics, safetensors, snapshot

_K = 20
_GOOGLE_PROTOS = "/usr/share/gocode/src/github.com/gogo/googleapis"  # golang-github-gogo-googleapis-dev
_DEADLINE_S = 5.0  # generous: quality is measured here, not latency


def evaluate(config_path, address, write):
    with open(config_path, "rb") as stream:
        config = tomllib.load(stream)
    directory = Path(config["snapshot"]["output"])
    log = data.read_log(config["data"]["events"])
    split = data.split_by_time(log, config["data"]["heldout_days"], config["data"]["validation_days"])
    interactions = data.index_interactions(log, split.cut_s)
    truth = evaluation.new_items(interactions, split.cut_s, split.end_s + 1)
    embeddings, _ = safetensors.read(directory / "embeddings.safetensors")
    measured = baseline_lists(interactions, truth, split.cut_s, embeddings["user"], embeddings["item"])
    measured["server"] = _recall_ndcg(_ask(address, interactions, truth, [""])[""], truth)
    found = {}
    print(f"{len(truth.relevant)} users, "
          f"{np.mean([len(items) for items in truth.relevant.values()]):.1f} new items each")
    for name, values in measured.items():
        print(f"{name:12s} Recall@{_K} {values[f'recall_at_{_K}']:.4f}  "
              f"NDCG@{_K} {values[f'ndcg_at_{_K}']:.4f}")
        prefix = {"server": "heldout", "dot, exact": "heldout.dot"}.get(name, f"heldout.{name}")
        found |= {f"{prefix}.{metric}": value for metric, value in values.items()}
    if write:
        snapshot.update_metrics(directory, found)


def lists_of_rankers(server, directory, interactions, truth, rankers):
    """{order: {ranker: {metric: value}}}: what a server of this program and snapshot directory answers
    the users of `truth`, its own candidates in each ranker's order alone, and in that fused with the
    order of retrieval, which is the default."""
    found = {}
    for order, weight in (("in the ranker's order alone", 0), ("fused with retrieval's order", 100)):
        with _serving(server, directory, weight) as address:
            lists = _ask(address, interactions, truth, rankers)
        found[order] = {ranker: _recall_ndcg(lists[ranker], truth) for ranker in rankers}
    return found


def baseline_lists(interactions, truth, cut_s, user, item):
    """{scorer: {metric: value}} of all items, the seen ones left out."""
    counts = evaluation.popularity(interactions, len(item), cut_s)
    scores = {"popularity": lambda u: counts, "dot, exact": lambda u: item @ user[u]}
    return {name: _recall_ndcg(evaluation.top_unseen(score, truth, _K), truth)
            for name, score in scores.items()}


def _recall_ndcg(lists, truth):
    recall, ndcg = metrics.mean_recall_ndcg(lists, truth.relevant, _K)
    return {f"recall_at_{_K}": round(recall, 4), f"ndcg_at_{_K}": round(ndcg, 4)}


@contextlib.contextmanager
def _serving(server, directory, retrieval_weight):
    """The gRPC address of a server that holds the snapshot, and ends with the block."""
    with tempfile.TemporaryDirectory(prefix="groundswell-lists-") as work:
        subprocess.run([str(server), "import", "--snapshot", str(directory), "--data-dir", f"{work}/db"],
                       check=True, stdout=subprocess.DEVNULL)
        process = subprocess.Popen(
            [str(server), "serve", f"--server.data_dir={work}/db", "--logging.level=error",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             f"--ranking.retrieval_weight={retrieval_weight}"], stdout=subprocess.PIPE, text=True)
        try:
            ready = process.stdout.readline().split()
            if ready[:1] != ["ready"]:
                raise ValueError("the server did not start; its message stands above")
            yield "127.0.0.1:" + dict(part.split("=") for part in ready[1:])["grpc_port"]
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def _ask(address, interactions, truth, rankers):
    """ranker -> user -> the server's list ("" is its default ranker); refuses an answer that was
    degraded."""
    index = {id_: position for position, id_ in enumerate(interactions.item_ids)}
    lists, began = {ranker: {} for ranker in rankers}, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="groundswell-stubs-") as stubs:
        messages, services = compile_stubs(stubs)
        with grpc.insecure_channel(address) as channel:
            recommend = services.RecommendationServiceStub(channel).Recommend
            for user in tqdm(truth.relevant, desc="recommend", disable=None):
                for ranker in rankers:
                    request = messages.RecommendRequest(
                        user_id=interactions.user_ids[user], page_size=_K, ranker=ranker)
                    answer = recommend(request, timeout=_DEADLINE_S)
                    if answer.degradations or answer.fallback_reason or not answer.ranker:
                        raise ValueError(f"user {request.user_id}: the answer is degraded: {answer}")
                    lists[ranker][user] = [index[entry.item_id] for entry in answer.items]
    asked = sum(len(of_users) for of_users in lists.values())
    print(f"{asked} requests in {time.monotonic() - began:.1f} s, one after the other")
    return lists


def compile_stubs(directory):
    """The Python stubs of our .proto files, generated into `directory`; those of recommend.proto
    imported."""
    proto = Path(__file__).resolve().parent.parent / "proto"
    plugin = shutil.which("grpc_python_plugin")
    if plugin is None or shutil.which("protoc") is None:
        raise FileNotFoundError("protoc and grpc_python_plugin are needed: scripts/install-packages")
    subprocess.run([
        "protoc", f"-I{proto}", f"-I{_GOOGLE_PROTOS}", f"--python_out={directory}",
        f"--grpc_python_out={directory}", f"--plugin=protoc-gen-grpc_python={plugin}",
        *(str(path) for path in (proto / "groundswell/v1").glob("*.proto")),
        f"{_GOOGLE_PROTOS}/google/rpc/status.proto"], check=True)
    sys.path.insert(0, directory)
    # Debian has no google.rpc for Python: the generated package stands beside google.protobuf.
    google = importlib.import_module("google")
    google.__path__ = [*google.__path__, str(Path(directory) / "google")]
    return (importlib.import_module("groundswell.v1.recommend_pb2"),
            importlib.import_module("groundswell.v1.recommend_pb2_grpc"))
