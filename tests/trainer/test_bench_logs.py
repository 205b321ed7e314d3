"""What reads a log or a catalogue in bench/ loses no record of it without a word."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench"))
import diversity
import globo
import plain_retrieval
import svd_snapshot

_NEVER = float("inf")
_HEADER = "timestamp,user,item\n"


def _from_first_to_last(path):
    return plain_retrieval.read(path, lambda events: False)


class LogOfABenchTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def _write(self, text, name="events.csv"):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def test_what_is_no_event_is_refused_by_file_and_line(self):
        for text, message in (
                ('1,a,"x\n' + "".join(f"{time},a,y\n" for time in range(2, 52)), "events.csv:2: .*quotation marks"),
                ("1,a,x\n2,a\n3,a,y\n", "events.csv:3: it has 2 fields and the header 3"),
                ("1,a,x\n2,a,y,z\n", "events.csv:3: it has 4 fields and the header 3"),
                ("1,a,x\nnoon,a,y\n", 'events.csv:3: timestamp is "noon"'),
                ("1,a,x\n2,,y\n", 'events.csv:3: user is ""'),
                ("2,a,x\n1,a,y\n", "events.csv:3: it is earlier than one before it")):
            path = self._write(_HEADER + text)
            for read in (_from_first_to_last, diversity.first_purchases,
                         lambda path: svd_snapshot.read(path, _NEVER)):
                with self.assertRaisesRegex(ValueError, message):
                    read(path)

    def test_what_does_not_count_as_one_is_refused(self):
        path = self._write("timestamp,user,item,type\n1,a,x,purchase\n2,a,x,return\n")
        with self.assertRaisesRegex(ValueError, "events.csv:3: the event weighs -1"):
            _from_first_to_last(path)

    def test_every_event_is_read(self):
        path = self._write(_HEADER + '1.5,a,"x,1"\n2,b,"y\n2"\n3,a,y\n')
        self.assertEqual(_from_first_to_last(path), ([(1.5, 0, 0), (2.0, 1, 1), (3.0, 0, 2)], 3))
        self.assertEqual(svd_snapshot.read(path, 3), [(1, "a", "x,1"), (2, "b", "y\n2")])
        with self.assertRaisesRegex(ValueError, "no event is before --until"):
            svd_snapshot.read(path, 1)

    def test_what_was_new_to_users_with_a_past(self):
        cut = diversity.TEST_FROM
        path = self._write(_HEADER + f"1,a,x\n{cut},a,x\n{cut},a,y\n{cut},b,y\n")
        self.assertEqual(diversity.first_purchases(path), {"a": {"y"}})


class GloboTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def _read(self, *parts):
        for number, text in enumerate(parts):
            (self.directory / f"clicks_{number}.csv").write_text(text, encoding="utf-8")
        return globo.read(self.directory)

    def test_the_clicks_of_all_hours_in_the_order_of_time(self):
        hour = "user_id,session_id,click_article_id,click_timestamp\n"
        self.assertEqual(self._read(hour + "7,1,70,2000\n8,2,80,3000\n", hour + "9,3,90,1000\n"),
                         [(1000, "9", "90"), (2000, "7", "70"), (3000, "8", "80")])

    def test_what_is_no_click_is_refused_by_file_and_line(self):
        for text, message in (
                ('1,"a,x\n2,b,y\n3,c,z\n', "clicks_0.csv:2: .*quotation marks"),
                ("1,a,x\n2,b\n", "clicks_0.csv:3: it has 2 fields and the header 3"),
                ("1,a,x\nnoon,b,y\n", 'clicks_0.csv:3: the time is "noon"'),
                ("1,,x\n", "clicks_0.csv:2: the user or the item is empty")):
            with self.assertRaisesRegex(ValueError, message):
                self._read("timestamp_ms,user,item\n" + text)
        with self.assertRaisesRegex(ValueError, "the header lacks item"):
            self._read("timestamp_ms,user\n1,a\n")


if __name__ == "__main__":
    unittest.main()
