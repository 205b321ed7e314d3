"""The Python client's types, and the tables that it takes, with packages of PyPI.

    python_types_test.py TOOLS_DIRECTORY PACKAGE_DIRECTORY

TOOLS_DIRECTORY is what scripts/install-client-tools fills; skipped where it did not.
"""

import datetime
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

from case_server import ROOT, TIMES, environment, readme_program, skip

TOOLS, PACKAGE = sys.argv[1:3] if len(sys.argv) > 2 else ("", "")
if not (pathlib.Path(TOOLS) / "python/polars").exists():
    skip("packages of PyPI are not here: scripts/install-client-tools says why")
sys.path[:0] = [PACKAGE, TOOLS + "/python"]

import numpy  # noqa: E402
import pandas  # noqa: E402
import polars  # noqa: E402
import pyarrow  # noqa: E402
from groundswell import BadRow, Columns  # noqa: E402
from groundswell._rows import ToInteractions, records  # noqa: E402

USE = '''
import asyncio
import groundswell
from groundswell.v1 import CandidateSource, RecommendRequest, RecommendResponse

def names(client: groundswell.Client) -> list[str]:
    answer: RecommendResponse = client.recommend(RecommendRequest(user_id="x", page_size=1), timeout=1.0)
    done: groundswell.IngestResult = client.ingest([{"user": "x"}], event_type="view")
    reveal: int = done.accepted
    try:
        client.last_sequence("me")
    except groundswell.ItemUnknown as error:
        violated: str = error.field_violations[0].field
    return [item.item_id for page in client.pages(RecommendRequest()) for item in page.items]

async def score() -> float:
    async with groundswell.AsyncClient(token="x", tls=groundswell.Tls()) as client:
        return (await client.recommend(RecommendRequest())).items[0].score
'''


def mypy(*arguments, directory):
    """What it says of a program, and whether it is content."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--python-executable", sys.executable,
         "--cache-dir", TOOLS + "/mypy-cache", *arguments], cwd=directory, capture_output=True, text=True,
        check=False, env=environment(PYTHONPATH=TOOLS + "/python", MYPYPATH=PACKAGE))
    return done.returncode, done.stdout + done.stderr


class TypesTest(unittest.TestCase):
    def test_the_package_and_its_use_are_strictly_typed(self):
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            at = pathlib.Path(directory)
            (at / "mypy.ini").write_text((ROOT / "tests/clients/mypy.ini").read_text())
            (at / "use.py").write_text(USE)
            (at / "readme.py").write_text(readme_program(ROOT / "clients/python/README.md", "python"))
            (at / "wrong.py").write_text(USE.replace("user_id=\"x\", page_size=1", "user_id=1, page_sise=1"))
            result, said = mypy("-p", "groundswell", "-m", "use", "-m", "readme", "-m", "wrong", directory=directory)
            self.assertEqual(result, 1)
            for line in said.splitlines():
                self.assertTrue(line.startswith("wrong.py:") or ": note: " in line, line)
            self.assertIn("page_sise", said)
            self.assertIn('"user_id"', said)


ROWS = [{"user_id": "u1", "item_id": 17, "event_time": datetime.datetime(2011, 12, 9, 12, 0, 0, 250_000),
         "event_type": "view", "weight": 2},
        {"user_id": "u2", "item_id": 18, "event_time": datetime.datetime(2011, 12, 9, 12, 0, 1),
         "event_type": "purchase", "weight": None}]


def interactions(source, columns=Columns(), event_type=None):
    to_interactions = ToInteractions(columns, event_type)
    return [to_interactions.of(record) for record in records(source)]


class TablesTest(unittest.TestCase):
    def test_all_tables_say_the_same(self):
        expected = interactions(ROWS)
        self.assertEqual([(one.user_id, one.item_id, one.event_time.ToJsonString(), one.weight) for one in expected],
                         [("u1", "17", "2011-12-09T12:00:00.250Z", 2), ("u2", "18", "2011-12-09T12:00:01Z", 0)])
        self.assertFalse(expected[1].HasField("weight"))
        arrow = pyarrow.Table.from_pylist(ROWS)
        lists = {name: [row[name] for row in ROWS] for name in ROWS[0]}
        for table in (pandas.DataFrame(ROWS), polars.DataFrame(lists), polars.DataFrame(lists).lazy(), arrow,
                      arrow.to_batches()[0], arrow.to_reader(max_chunksize=1),
                      arrow.set_column(2, "event_time", arrow["event_time"].cast("timestamp[ns]")),
                      arrow.set_column(0, "user_id", arrow["user_id"].dictionary_encode())):
            self.assertEqual(interactions(table), expected, type(table))

    def test_long_tables(self):
        n = 10_000
        columns = {"user": [f"u{i}" for i in range(n)], "item": list(range(n)), "ts": list(range(n))}
        expected = interactions(({"user": f"u{i}", "item": i, "ts": i} for i in range(n)), event_type="view")
        for table in (pandas.DataFrame(columns), polars.DataFrame(columns), pyarrow.table(columns)):
            self.assertEqual(interactions(table, event_type="view"), expected)

    def test_zones_and_units_of_time(self):
        noon = "2011-12-09T12:00:00Z"
        zoned = pandas.Timestamp("2011-12-09 13:00", tz="Europe/Berlin")
        for time in (1_323_432_000, 1_323_432_000_000, 1_323_432_000_000_000, 1_323_432_000_000_000_000,
                     1_323_432_000.0, "2011-12-09 12:00:00", "2011-12-09T13:00:00+01:00", "2011/12/09 12:00:00", zoned,
                     numpy.datetime64("2011-12-09T12:00:00"), numpy.datetime64(1_323_432_000_000_000_000, "ns"),
                     numpy.int64(1_323_432_000)):
            made = interactions([{"user": "u", "item": "i", "time": time}], event_type="view")
            self.assertEqual(made[0].event_time.ToJsonString(), noon, repr(time))
        made = interactions([{"user": "u", "item": "i", "time": datetime.date(2011, 12, 9)}], event_type="view")
        self.assertEqual(made[0].event_time.ToJsonString(), "2011-12-09T00:00:00Z")

    def test_times_as_text_are_the_command_lines(self):
        def of(text):
            return interactions([{"user": "u", "item": "i", "time": text}], event_type="view")[0].event_time

        self.assertEqual({text: of(text).ToMicroseconds() for text in TIMES["read"]}, TIMES["read"])
        for text in TIMES["refused"]:
            with self.assertRaisesRegex(BadRow, "row 1: the time is .*: it must be a number since 1970", msg=text):
                of(text)

    def test_dates_without_separators_are_no_numbers(self):
        def of(*times):
            return interactions([{"user": "u", "item": "i", "time": time} for time in times], event_type="view")

        for text, extended in TIMES["basic"].items():
            for time in (text, float(text), int(float(text)), numpy.float64(text)):
                with self.assertRaisesRegex(BadRow, f"row 1: the time is .*: write it as {extended}; as a number", msg=text):
                    of(time)
        self.assertEqual(len(of(7, 2021, "20111122")), 3, "of rows that began at 7")

    def test_what_is_missing_is_told(self):
        for nothing in (None, math.nan, pandas.NaT, pandas.NA, numpy.float64("nan")):
            row = {"user": "u", "item": "i", "time": nothing}
            with self.assertRaisesRegex(BadRow, "row 1: the time is missing"):
                interactions([row], event_type="view")
        for user in (1.0, numpy.float64(1), True):
            with self.assertRaisesRegex(BadRow, "the user is .*: it must be a string or an integer"):
                interactions([{"user": user, "item": "i", "time": 1}], event_type="view")
        with self.assertRaisesRegex(BadRow, r'read_csv\(dtype=str\) keeps them, and so does astype\("Int64"\)'):
            interactions(pandas.DataFrame({"user": [1, None], "item": "i", "time": 1}), event_type="view")
        self.assertEqual(interactions([{"user": numpy.int64(7), "item": "i", "time": 1}], event_type="view")[0].user_id,
                         "7")

    def test_columns_by_name(self):
        row = {"who": "u", "what": "i", "when": 1, "user": "not this one"}
        made = interactions([row], Columns(user="who", item="what", time="when"), "view")
        self.assertEqual((made[0].user_id, made[0].item_id), ("u", "i"))
        with self.assertRaisesRegex(ValueError, 'no column "whom" for the user'):
            interactions([row], Columns(user="whom"), "view")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
