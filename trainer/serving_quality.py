"""Recall@20 and NDCG@20 of what a server answers, beside two baselines.

The server must hold the snapshot and no interaction after it. Every user with a past before the cut
and a first purchase after it is asked for once; the baselines get the same users and leave out the
same seen items.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from tqdm import tqdm

from trainer import api, configuration, data, evaluation, log_files, metrics, safetensors, snapshot

_K = 20
_PAGE_MAX = 100  # of the API
_CANDIDATES_MAX = 10_000  # more than are retrieved
# The orders that a ranker's candidates can have: that of requests which name it, and that of the blend in which
# it votes, for which a server is started that gives it all users (ranking.shares).
_ALONE, _WITH_VOTE = "in the ranker's order alone", "in the order of the blend, with its vote"
# Time runs faster in a replay than when the log was written, so popularity is renewed more often; waiting
# is better than a stale answer; and the database is thrown away.
REPLAY_SETTINGS = {"retrieval.popularity_refresh_ms": 10, "request.consistency_wait_ms": 3000,
                    "log.durability": "flush"}
# For one call to a server of the trainer, which shares the machine: quality is measured here, not latency, and work
# of hours does not end because it was busy for some seconds.
CALL_TIMEOUT_MS = 120_000
# Of lists that count as the misses that they are: a night's work does not end because a machine was busy.
_SPOILT_SHARE_MAX = 0.01
UNRANKED = "order of the blend"  # what candidates have without a ranker
POPULARITY = "popularity"


def evaluate(config_path, address, write):
    config = configuration.read(config_path)
    directory = Path(config["snapshot"]["output"])
    log = data.read_log(log_files.files_of(config), log_files.weights_of(config), log_files.read_by(config))
    print("".join(f"{line}\n" for line in data.described(log)), end="")
    split = data.split(log, config["data"])
    interactions = data.index_interactions(log, split.cut_s)
    truth = evaluation.new_items(interactions, split.cut_s, split.end_s + 1)
    embeddings, _ = safetensors.read(directory / "embeddings.safetensors")
    lists = baseline_lists(interactions, truth, split.cut_s, embeddings["user"], embeddings["item"])
    lists["server"] = _ask(address, interactions, truth, [""])[""]
    measured = {name: _of_all_and_known(list_, truth) for name, list_ in lists.items()}
    print("\n".join(asked(truth)))
    found = {**truth.judgement.metrics("heldout.lists"), "heldout.lists.misses": truth.misses}
    for name, values in measured.items():
        print(f"{name:12s} Recall@{_K} {values[f'recall_at_{_K}']:.4f}  "
              f"NDCG@{_K} {values[f'ndcg_at_{_K}']:.4f}   known: "
              f"{values[f'known.recall_at_{_K}']:.4f}  {values[f'known.ndcg_at_{_K}']:.4f}")
        prefix = {"server": "heldout", "dot, exact": "heldout.dot"}.get(name, f"heldout.{name}")
        found |= {f"{prefix}.{metric}": value for metric, value in values.items()}
    if write:
        snapshot.update_metrics(directory, found)


def asked(truth):
    """Lines for people: of whom and what the figures are."""
    def each(users):
        items = sum(map(len, users.values())) / max(len(users), 1)
        return f"{len(users)} users, {items:.1f} new items each"

    return [f"judged: {truth.judgement}",
            f"{each(truth.everything)}; {truth.misses} of these are sure misses: the user had no past or the "
            "item was not there at the cut",
            f"known: {each(truth.relevant)}"]


@dataclass
class OrderOfCandidates:
    """How a ranker orders what a server retrieves, beside how the blend does without it: means of NDCG@20."""

    ranker: str
    users: int
    retrieval: float
    alone: float
    with_vote: float  # in the order of the blend, which is the default
    difference: float  # alone less retrieval
    interval: float  # half of the 95% interval of the difference, by user

    @property
    def is_worse(self):
        """Beyond what the choice of users explains."""
        return self.difference + self.interval < 0

    def metrics(self, prefix):
        """For the metrics of a manifest."""
        named = f"{prefix}.{self.ranker}"
        return {f"{prefix}.users": self.users, f"{prefix}.retrieval.ndcg_at_{_K}": self.retrieval,
                f"{named}.ndcg_at_{_K}": self.alone, f"{named}.with_vote.ndcg_at_{_K}": self.with_vote,
                f"{named}.difference": self.difference, f"{named}.interval": self.interval,
                f"{named}.worse_than_retrieval": int(self.is_worse)}

    def line(self):
        """For people."""
        figures = (f"NDCG@{_K} {self.alone:.4f} alone and {self.with_vote:.4f} with its vote, retrieval "
                   f"{self.retrieval:.4f}; alone less retrieval {self.difference:+.4f} ± {self.interval:.4f}, "
                   f"{self.users} users at the cut")
        if not self.is_worse:
            return f"{self.ranker} on the server's own candidates: {figures}"
        return (f"warning: {self.ranker} orders the server's own candidates worse than retrieval does: "
                f"{figures}. Do not serve lists in its order; docs/training.md, Where a ranker does harm, says "
                "what to do")


def orders_of_candidates(lists, truth):
    """[OrderOfCandidates] of what lists_of_rankers found, for every ranker."""
    (_, alone), (_, with_vote) = lists.items()
    of_users = lambda of_ranker: np.array([metrics.ndcg_at(of_ranker[user], items, _K)
                                           for user, items in truth.relevant.items()])
    retrieval, found = of_users(alone[UNRANKED]), []
    for ranker in alone:
        if ranker in (UNRANKED, POPULARITY):
            continue
        differences = of_users(alone[ranker]) - retrieval
        spread = np.std(differences, ddof=1) if len(differences) > 1 else 0.0
        found.append(OrderOfCandidates(
            ranker, len(differences), *(round(float(value), 4) for value in (
                retrieval.mean(), of_users(alone[ranker]).mean(), of_users(with_vote[ranker]).mean(),
                differences.mean(), 1.96 * spread / np.sqrt(len(differences))))))
    return found


def lists_of_rankers(server, directory, settings, interactions, truth, cut_s, rankers,
                     with_popularity=True):
    """{order: {ranker: user -> list}}, UNRANKED and, alone, if asked for, POPULARITY among the rankers: what
    a server of this program, snapshot directory and settings answers the users of `truth`, its own candidates in
    each ranker's order alone, and in that of the blend with its vote, which is the default."""
    counts = evaluation.popularity(interactions, len(interactions.item_ids), cut_s)
    of_run = {**settings, "paging.items_max": _CANDIDATES_MAX}
    untrained = [UNRANKED, POPULARITY] if with_popularity else [UNRANKED]
    with serving(server, directory, of_run) as address:
        alone = _ask(address, interactions, truth, [*untrained, *rankers], counts)
    with_vote = {UNRANKED: alone[UNRANKED]}
    for ranker in rankers:
        with serving(server, directory, {**of_run, **_voting(ranker)}) as address:
            with_vote[ranker] = _ask(address, interactions, truth, [""])[""]
    return {_ALONE: alone, _WITH_VOTE: with_vote}


def _voting(ranker):
    """Settings of a server whose blend has this ranker's vote."""
    return {"ranking.shares": f"{ranker}=100"}


def replayed_lists_of_rankers(server, directory, settings, log, every, seed, rankers, type_):
    """(events, {order: {ranker: {metric: value}}}): likewise, and of POPULARITY's own candidates, for the
    item of one event in `every` of the log, asked for just before the event, by `groundswell evaluate`,
    which then tells the server the event, new items included. `events` is how many were asked for, `type_`
    is a type that the server knows."""
    client = Path(server).with_name("groundswell")
    of_run = {**settings, **REPLAY_SETTINGS}
    with tempfile.TemporaryDirectory(prefix="groundswell-replayed-") as work:
        events = Path(work) / "events.csv"
        data.write_log(events, log)

        def evaluated(more, lists):
            with serving(server, directory, {**of_run, **more}) as address:
                printed = subprocess.run(
                    [str(client), "--server", address, "--timeout-ms", str(CALL_TIMEOUT_MS), "--json", "evaluate", str(events), "--test-from",
                     str(log.time_s[0]), "--create-items", "--every", str(every), "--seed", str(seed),
                     "--lists", ",".join(lists), "--type", type_, "--skip-refused"], check=True, stdout=subprocess.PIPE,
                    text=True).stdout
            answer = told(printed)
            return answer["asked_events"], {lists[entry["name"]]: _of_replayed(entry) for entry in answer["lists"]}

        asked_events, alone = evaluated({}, {
            "blend": UNRANKED, "popular": POPULARITY, **{f"blend-ranked:{ranker}": ranker for ranker in rankers}})
        with_vote = {name: alone[name] for name in (UNRANKED, POPULARITY)}
        for ranker in rankers:
            with_vote |= evaluated(_voting(ranker), {"blend-ranked": ranker})[1]
    return asked_events, {_ALONE: alone, _WITH_VOTE: with_vote}


@dataclass
class HitRate:
    """Of lists of 20, just before events: the mean, and half of its 95% interval, by user."""

    events: int
    mean: float
    half_width: float


def replayed_hit_rate(server, directory, settings, log, from_s, every, type_, work):
    """HitRate of what a server of the snapshot directory, or without one where that is None, recommends by default just
    before one in `every` of the events from `from_s` on; what of the log is before them it is told first. None where
    no event is chosen."""
    client = Path(server).with_name("groundswell")
    events = Path(work) / "replayed.csv"
    data.write_log(events, log)
    first = ["--ingest-first"] if len(log) and log.time_s[0] < from_s else []
    settings = {**settings, "request.consistency_wait_ms": CALL_TIMEOUT_MS}
    with serving(server, directory, settings) as address:
        printed = subprocess.run(
            [str(client), "--server", address, "--timeout-ms", str(CALL_TIMEOUT_MS), "--json", "evaluate", str(events),
             "--test-from", str(from_s), "--every", str(every), "--include-seen", "--lists",
             "blend" if directory is None else "blend-ranked", "--type", type_, "--skip-refused", *first],
            check=True, stdout=subprocess.PIPE, text=True).stdout
    answer = told(printed)
    (entry,) = answer["lists"]
    if entry["events"] == 0:
        return None
    spoilt = {name: entry[name] for name in ("degraded", "stale", "failed") if entry[name]}
    _refuse_spoilt(sum(spoilt.values()), entry["events"], spoilt)
    found = entry["hit_rate"][str(_K)]
    half_width = found["high"] - found["mean"] if found["high"] is not None else 1.0
    return HitRate(entry["events"], found["mean"], half_width)


def told(printed):
    """What `groundswell evaluate --json` printed; its warnings, and what the server refused, go to standard error."""
    answer = json.loads(printed)
    for line in [*answer["warnings"], *(f"refused: {reason}" for reason in answer["reasons"])]:
        print(line, file=sys.stderr)
    return answer


def _refuse_spoilt(spoilt, asked, why):
    if spoilt > _SPOILT_SHARE_MAX * asked:
        raise ValueError(f"{spoilt} of {asked} lists are not what the server gives when it has time ({why}): compare on a "
                         "quieter machine")


def _of_replayed(entry):
    """{metric: value} of one list of `groundswell evaluate`."""
    spoilt = {name: entry[name] for name in ("degraded", "stale", "failed") if entry[name]}
    if spoilt:
        raise ValueError(f"list {entry['name']}: {spoilt} of {entry['events']} answers are not what the "
                         "server gives when it has time: replay on a quieter machine")
    found = {f"{metric}_at_{k}": entry[metric][str(k)]["mean"]
             for metric in ("hit_rate", "ndcg") for k in (_K, 100)}
    return {**found, "mrr": entry["mrr"]["mean"],
            "hit_rate_of_new": entry["new_items"]["hit_rate"][str(_K)],
            "not_ranked": entry["not_ranked"] / max(entry["events"], 1)}


def baseline_lists(interactions, truth, cut_s, user, item):
    """{scorer: user -> list} of all items, the seen ones left out."""
    counts = evaluation.popularity(interactions, len(item), cut_s)
    scores = {"popularity": lambda u: counts, "dot, exact": lambda u: item @ user[u]}
    return {name: evaluation.top_unseen(score, truth, _K) for name, score in scores.items()}


def _of_all_and_known(lists, truth):
    """Of everything that was new to its user, and, as "known", of what was there at the cut."""
    known = recall_ndcg(lists, truth.relevant)
    return {**recall_ndcg(lists, truth.everything),
            **{f"known.{metric}": value for metric, value in known.items()}}


def recall_ndcg(lists, relevant):
    """{metric: value} of lists by user; a user of `relevant` without one is a miss."""
    recall, ndcg = metrics.mean_recall_ndcg(lists, relevant, _K)
    return {f"recall_at_{_K}": round(recall, 4), f"ndcg_at_{_K}": round(ndcg, 4)}


@contextlib.contextmanager
def serving(server, directory, settings):
    """The gRPC address of a server that holds the snapshot, or none where that is None, and ends with the block."""
    with tempfile.TemporaryDirectory(prefix="groundswell-lists-") as work:
        if directory is None:
            Path(f"{work}/db").mkdir()
        else:
            subprocess.run([str(server), "import", "--snapshot", str(directory), "--data-dir", f"{work}/db"],
                           check=True, stdout=subprocess.DEVNULL)
        process = subprocess.Popen(
            [str(server), "serve", f"--server.data_dir={work}/db", "--logging.level=error",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             *(f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in settings.items())],
            stdout=subprocess.PIPE, text=True)
        try:
            ready = process.stdout.readline().split()
            if ready[:1] != ["ready"]:
                raise ValueError("the server did not start; its message stands above")
            yield "127.0.0.1:" + dict(part.split("=") for part in ready[1:])["grpc_port"]
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def _ask(address, interactions, truth, rankers, counts=None):
    """ranker -> user -> the server's list ("" is its default ranker, UNRANKED none, POPULARITY all that
    is retrieved by `counts` of the items). One that is late or degraded is empty, a miss; ValueError where these are
    too many to say anything."""
    index = {id_: position for position, id_ in enumerate(interactions.item_ids)}
    lists, began, spoilt = {ranker: {} for ranker in rankers}, time.monotonic(), 0
    asked = len(truth.relevant) * len(rankers)
    groundswell = api.Api()
    with grpc.insecure_channel(address) as channel:
        recommend = groundswell.unary(channel, "RecommendationService", "Recommend")
        for user in tqdm(truth.relevant, desc="recommend", disable=None):
            for ranker in rankers:
                ranked, whole = ranker not in (UNRANKED, POPULARITY), ranker == POPULARITY
                request = groundswell.RecommendRequest(
                    user_id=interactions.user_ids[user], page_size=_PAGE_MAX if whole else _K,
                    ranker=ranker if ranked else "", skip_ranking=not ranked)
                try:
                    ids = _list(recommend, request, whole)
                except _Spoilt as why:
                    ids, spoilt = [], spoilt + 1
                    _refuse_spoilt(spoilt, asked, why)
                if unknown := [id_ for id_ in ids if id_ not in index]:
                    raise ValueError(f"the server recommends {unknown[0]}, which the log before the cut does not "
                                     "have: it must hold the snapshot alone, imported into an empty directory")
                items = [index[id_] for id_ in ids]
                if whole:
                    items = sorted(items, key=lambda item: -counts[item])[:_K]
                lists[ranker][user] = items
    print(f"{asked} requests in {time.monotonic() - began:.1f} s, one after the other")
    return lists


class _Spoilt(Exception):
    """A list is not what the server gives when it has time."""


def _list(recommend, request, whole):
    """The items of the answer, with those of all further pages if `whole`; _Spoilt where it is late or degraded."""
    items = []
    while True:
        try:
            answer = recommend(request, timeout=CALL_TIMEOUT_MS / 1000)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            raise _Spoilt(f"user {request.user_id}: {error.details()}") from None
        if answer.degradations or answer.fallback_reason or bool(answer.ranker) == request.skip_ranking:
            raise _Spoilt(f"user {request.user_id}: the answer is degraded: {answer}")
        items += [entry.item_id for entry in answer.items]
        request.page_token = answer.next_page_token
        if not whole or not request.page_token:
            return items
