#!/usr/bin/python3
"""What plain counting finds, without a server: the figures that each candidate source has to beat.

Goes through a log in time order and, before each event of the test period, looks where the event's item
stands in the lists of three plain scripts. Then the event is counted ("live"), or it is not ("frozen": the
counts stay as they are where the test begins).

  popular      the items with the most events so far
  trending     the items with the most events in the last --window-s seconds before the event
  co-clicks    the items that followed the user's last item most often. Every event (u, i) adds 1 to the pairs
               (j, i) for the --past items j that u took first of all the latest, i itself left out; the list
               of u is that of its last item. Frozen counts, too, are asked for u's last item as of now.

Ties count against popular and trending (an item stands behind all others with as many events), and in
co-clicks who reached the number first is first. Items that the user has had are listed like others, as the
server does with include_seen, unless --exclude-seen is given.

    bench/globo.py ../shared/data/globo/events.csv.zst build/globo.csv
    bench/plain_retrieval.py build/globo.csv --test-from 1507431600 --test-events 300000
    bench/plain_retrieval.py data/online-retail/events.csv.zst --test-from 1321015800 --window-s 604800
"""

import argparse
import json
import math
import sys
from collections import defaultdict, deque

import numpy as np
from tqdm import tqdm

import plain_log

CUTOFFS = (10, 20, 100)
LENGTH = max(CUTOFFS)


class Counts:
    """Events per item; the place of an item in their order."""

    def __init__(self, items):
        self.events = np.zeros(items, np.int32)

    def rank(self, item, seen):
        """From 1; 0 for an item without events, or one of `seen`. Ties count against it."""
        count = self.events[item]
        if count == 0 or item in seen:
            return 0
        ahead = np.count_nonzero(self.events >= count)  # the item itself stands for the 1
        return ahead - sum(1 for other in seen if self.events[other] >= count)


class TopList:
    """The items with the highest counts, best first; among equals, who reached the count first."""

    def __init__(self):
        self.counts, self.top = {}, []

    def add(self, item):
        count = self.counts[item] = self.counts.get(item, 0) + 1
        if item in self.top:
            self.top.remove(item)
        place = len(self.top)
        while place > 0 and self.counts[self.top[place - 1]] < count:
            place -= 1
        self.top.insert(place, item)
        del self.top[LENGTH:]


def rank_in(top, item, seen):
    if item in seen:
        return 0
    listed = [other for other in top if other not in seen] if seen else top
    return listed.index(item) + 1 if item in listed else 0


class Score:
    """Means over the events of the test; as `groundswell evaluate` has them."""

    def __init__(self):
        self.ranks = []

    def summary(self):
        found = np.array([rank for rank in self.ranks if 0 < rank <= LENGTH], np.int64)
        events = max(len(self.ranks), 1)
        result = {"events": len(self.ranks), "hit_rate": {}, "ndcg": {}}
        for cutoff in CUTOFFS:
            hits = found[found <= cutoff]
            result["hit_rate"][str(cutoff)] = len(hits) / events
            result["ndcg"][str(cutoff)] = float((1 / np.log2(1 + hits)).sum()) / events
        result["mrr"] = float((1 / found).sum()) / events
        return result


class PlainScripts:
    def __init__(self, items, window_s, past, exclude_seen):
        self.window_s, self.past, self.exclude_seen = window_s, past, exclude_seen
        self.popular, self.trending = Counts(items), Counts(items)
        self.window = deque()  # (time, item) of the events that trending counts
        self.followers = defaultdict(TopList)
        self.history = defaultdict(list)  # user -> its items, in the order of their first events
        self.last_item = {}
        self.scores = defaultdict(Score)
        self.frozen = None

    def freeze(self, time_s):
        self._advance(time_s)
        popular, trending = Counts(0), Counts(0)
        popular.events, trending.events = self.popular.events.copy(), self.trending.events.copy()
        followers = {item: list(top.top) for item, top in self.followers.items()}
        self.frozen = popular, trending, followers

    def ask(self, time_s, user, item):
        self._advance(time_s)
        seen = self.history.get(user, ()) if self.exclude_seen else ()
        last = self.last_item.get(user)
        popular, trending, followers = self.frozen
        ranks = {
            ("popular", "frozen"): popular.rank(item, seen),
            ("popular", "live"): self.popular.rank(item, seen),
            ("trending", "frozen"): trending.rank(item, seen),
            ("trending", "live"): self.trending.rank(item, seen),
            ("co-clicks", "frozen"): rank_in(followers.get(last, ()), item, seen),
            ("co-clicks", "live"): rank_in(
                self.followers[last].top if last in self.followers else (), item, seen),
        }
        for name, rank in ranks.items():
            self.scores[name].ranks.append(rank)

    def take(self, time_s, user, item):
        self._advance(time_s)
        self.popular.events[item] += 1
        self.trending.events[item] += 1
        self.window.append((time_s, item))
        history = self.history[user]
        for other in history[-self.past:]:
            if other != item:
                self.followers[other].add(item)
        if item not in history:
            history.append(item)
        self.last_item[user] = item

    def _advance(self, time_s):
        while self.window and self.window[0][0] < time_s - self.window_s:
            self.trending.events[self.window.popleft()[1]] -= 1


def read(path, limit):
    """(time, user, item) of every event; users and items as numbers, and how many items there are."""
    users, items, events = {}, {}, []
    for time_s, user, item in plain_log.events(path):
        events.append((time_s, users.setdefault(user, len(users)), items.setdefault(item, len(items))))
        if limit(events):
            break
    return events, len(items)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="CSV with the columns timestamp (Unix seconds), user, item; .zst too")
    parser.add_argument("--test-from", type=float, required=True, help="Unix seconds")
    parser.add_argument("--test-events", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument("--window-s", type=float, default=3600, help="of trending (default: an hour)")
    parser.add_argument("--past", type=int, default=20, help="of co-clicks (default: 20)")
    parser.add_argument("--exclude-seen", action="store_true",
                        help="list no item that the user has had; an event on one is a miss")
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args()

    begin = math.inf

    def limit(events):
        nonlocal begin
        if begin == math.inf and events[-1][0] >= arguments.test_from:
            begin = len(events) - 1
        return len(events) - begin >= arguments.test_events

    try:
        events, items = read(arguments.log, limit)
    except (OSError, ValueError) as error:
        sys.exit(f"plain_retrieval: {error}")
    if begin == math.inf:
        sys.exit(f"{arguments.log}: no event is at or after --test-from")
    scripts = PlainScripts(items, arguments.window_s, arguments.past, arguments.exclude_seen)
    unseen, known = 0, {item for _, _, item in events[:begin]}
    try:
        for number, event in enumerate(tqdm(events, desc="counting", unit=" events", disable=None)):
            if number == begin:
                scripts.freeze(event[0])
            if number >= begin:
                scripts.ask(*event)
                unseen += event[2] not in known
            scripts.take(*event)
    except KeyboardInterrupt:
        print("interrupted: the figures are those of the events until then", file=sys.stderr)
    report(arguments, begin, unseen, scripts.scores)


def report(arguments, before, unseen, scores):
    summaries = {name: score.summary() for name, score in sorted(scores.items())}
    tested = max((summary["events"] for summary in summaries.values()), default=0)
    if arguments.json:
        lists = [{"name": name, "mode": mode, **summary} for (name, mode), summary in summaries.items()]
        print(json.dumps({"settings": vars(arguments), "records_before": before, "test_events": tested,
                          "test_events_on_unseen_items": unseen, "lists": lists}))
        return
    print(f"{before} events, then {tested} of the test, {unseen} of them on items unseen before it")
    print(f"{'':20s}" + "".join(f"{f'HR@{k}':>9s}" for k in CUTOFFS)
          + "".join(f"{f'NDCG@{k}':>9s}" for k in CUTOFFS) + f"{'MRR':>9s}")
    for (name, mode), summary in summaries.items():
        values = [*summary["hit_rate"].values(), *summary["ndcg"].values(), summary["mrr"]]
        print(f"{name + ', ' + mode:20s}" + "".join(f"{value:9.4f}" for value in values))


if __name__ == "__main__":
    main()
