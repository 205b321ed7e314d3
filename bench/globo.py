#!/usr/bin/python3
"""Turns Globo's clicks into the log that `groundswell` reads: timestamp (Unix seconds), user, item, in time order.

Reads the folder `clicks` of the data set (one CSV an hour, with user_id, click_article_id and click_timestamp in
milliseconds), or one CSV with the columns timestamp_ms, user, item, plain or .zst.

    bench/globo.py clicks build/globo.csv

The data is for academic use only and therefore not bundled: bench/README.md says where to get it.
"""

import argparse
import csv
import pathlib
import re
import sys

from tqdm import tqdm

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from trainer import log_files, tables

HOURLY = ("click_timestamp", "user_id", "click_article_id")
WHOLE = ("timestamp_ms", "user", "item")


def read(path):
    """(time in milliseconds, user, item) of every click, in time order; equal times as they stand."""
    paths = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    clicks = []
    for part in tqdm(paths, desc="reading", unit=" files", disable=None):
        clicks += read_part(part)
    clicks.sort(key=lambda click: click[0])
    return clicks


def read_part(path):
    """Likewise, of one file, as they stand."""
    clicks = []
    with log_files.open_text(path) as stream:
        for line, (time_ms, user, item) in tables.rows(path, stream, lambda header: columns(path, header)):
            if not re.fullmatch("[0-9]{1,15}", time_ms):
                raise ValueError(f'{path}:{line}: the time is "{time_ms}"; it must be whole milliseconds since 1970')
            if not user or not item:
                raise ValueError(f"{path}:{line}: the user or the item is empty; name both")
            clicks.append((int(time_ms), user, item))
    return clicks


def columns(path, header):
    """Where the time, the user and the item stand."""
    names = HOURLY if HOURLY[0] in header else WHOLE
    missing = set(names) - set(header)
    if missing:
        raise ValueError(f"{path}: the header lacks {', '.join(sorted(missing))}")
    return [header.index(name) for name in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clicks", type=pathlib.Path, help="the folder, or one CSV")
    parser.add_argument("log", type=pathlib.Path, help="where the log goes")
    parser.add_argument("--events", type=int, default=0, help="only the first so many; 0: all")
    arguments = parser.parse_args()
    try:
        clicks = read(arguments.clicks)
    except (OSError, ValueError) as error:
        sys.exit(f"globo: {error}")
    if arguments.events:
        clicks = clicks[:arguments.events]
    if not clicks:
        sys.exit(f"globo: {arguments.clicks} has no clicks")
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    with open(arguments.log, "w", encoding="utf-8", newline="") as log:
        writer = csv.writer(log, lineterminator="\n")  # quotes ids with a comma
        writer.writerow(("timestamp", "user", "item"))
        for time_ms, user, item in tqdm(clicks, desc="writing", unit=" clicks", disable=None):
            writer.writerow((f"{time_ms // 1000}.{time_ms % 1000:03d}", user, item))


if __name__ == "__main__":
    main()
