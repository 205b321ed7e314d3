#!/usr/bin/python3
"""Logs of people who do not exist, of kinds that the real logs at hand are not.

    bench/made_up_logs.py songs build/songs.csv
    bench/made_up_logs.py ads build/ads.csv

songs   1,500 listeners of 4,000 songs over 40 days: each likes two of 40 groups of songs, visits every few days,
        and plays what was played before seven times in ten, the more often the more
ads     6,000 people and 6,000 small ads over 14 days: an ad is there for two days, fades meanwhile, and is looked at
        by who cares for one of its 30 categories, which two are for each

CSV with timestamp, user, item in the order of time, as `groundswell evaluate` reads it. The same log each time.
"""

import argparse
import csv
import math
import random

_BEGIN_S = 1_700_000_000
_DAY_S = 86_400


def songs(draw):
    songs_of_group = [draw.sample(range(4_000), 160) for _ in range(40)]
    popularity = [1 / (place + 1) ** 0.8 for place in range(160)]
    for user in range(1_500):
        groups, played = draw.sample(range(40), 2), {}
        begin_s = draw.random() * 20 * _DAY_S
        while begin_s < 40 * _DAY_S:
            at_s = begin_s
            for _ in range(draw.randint(3, 15)):
                if played and draw.random() < 0.7:
                    song = draw.choices(list(played), weights=list(played.values()))[0]
                else:
                    song = draw.choices(songs_of_group[draw.choice(groups)], weights=popularity)[0]
                played[song] = played.get(song, 0) + 1
                yield at_s, f"u{user}", f"s{song}"
                at_s += draw.randint(120, 300)
            begin_s = at_s + draw.expovariate(1 / (4 * _DAY_S))


def ads(draw):
    of_category = [[] for _ in range(30)]  # (when it came, number, how good it is)
    categories_of = [draw.sample(range(30), 2) for _ in range(6_000)]
    now_s, count = 0.0, 0
    while now_s < 14 * _DAY_S:
        now_s += draw.expovariate(1 / 12)
        if draw.random() < 0.06:
            of_category[draw.randrange(30)].append((now_s, count, draw.paretovariate(1.2)))
            count += 1
        user = draw.randrange(6_000)
        looks, category = draw.choice([1, 1, 2, 3, 5]), draw.choice(categories_of[user])
        there = of_category[category] = [ad for ad in of_category[category] if now_s - ad[0] < 2 * _DAY_S]
        if not there:
            continue
        weights = [good * math.exp((came_s - now_s) / _DAY_S) for came_s, _, good in there]
        at_s = now_s
        for _, ad, _ in draw.choices(there, weights=weights, k=looks):
            yield at_s, f"u{user}", f"a{ad}"
            at_s += draw.randint(10, 60)


KINDS = {"songs": songs, "ads": ads}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("out", help="CSV to write")
    arguments = parser.parse_args()
    events = sorted(KINDS[arguments.kind](random.Random(7)))
    with open(arguments.out, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["timestamp", "user", "item"])
        writer.writerows((_BEGIN_S + int(at_s), user, item) for at_s, user, item in events)


if __name__ == "__main__":
    main()
