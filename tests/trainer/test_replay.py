"""The rows of `groundswell-server replay` against a slow, obvious replay, exactly.

GROUNDSWELL_SERVER names the program.
"""

import os
import tempfile
import unittest
from pathlib import Path

import numpy as np

from tests.trainer.replay_oracle import MacroGraphOracle
from trainer import data, replay, safetensors

_ROOT = Path(__file__).parents[2]
_SAMPLE = _ROOT / "sample/online-retail"
_EVENTS, _FROM_EVENT, _RECENT_LEN = 6000, 4000, 20


class ReplayTest(unittest.TestCase):
    def test_rows_equal_the_definitions(self):
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        log = data.Log(log.time_s[:_EVENTS], log.user[:_EVENTS], log.item[:_EVENTS])
        interactions = data.index_interactions(log, int(log.time_s[-1]) + 1)
        clusters, _ = safetensors.read(_SAMPLE / "clusters.safetensors")
        p, q = len(clusters["user_centroids"]), len(clusters["item_centroids"])
        from_s, until_s = int(log.time_s[_FROM_EVENT]), int(log.time_s[-1]) + 1
        with tempfile.TemporaryDirectory() as work:
            past = replay.Replay(os.environ["GROUNDSWELL_SERVER"], _SAMPLE, log, work)
            rows = past.rows(from_s, until_s, 2, 0.5, _RECENT_LEN, 1)
            batch = rows.batch(np.arange(len(rows)))
        graph = MacroGraphOracle(clusters["user"], clusters["item"], p, q, _RECENT_LEN)
        row = 0
        # Indices of the sample are in order of appearance, so those of its beginning are the same.
        for time_s, user, item in zip(log.time_s, interactions.user, interactions.item):
            if time_s >= from_s and item not in graph.taken[user]:
                for _ in range(3):
                    candidate = batch["item"][row] - 1
                    self.assertEqual(rows.label[row], candidate == item)
                    for name, expected in (
                            ("user", user + 1), ("u1", graph.h1_u[user]),
                            ("u2", graph.user_two_hop(user)), ("i1", graph.h1_i[candidate]),
                            ("i2", graph.h2_i[candidate]), ("urec", graph.recent_items(user)),
                            ("irec", graph.recent_users(candidate))):
                        np.testing.assert_array_equal(batch[name][row], expected, f"{name}, row {row}")
                    row += 1
            graph.apply(int(user), int(item))
        self.assertEqual(row, len(rows))
        self.assertGreater(row, 1000)


if __name__ == "__main__":
    unittest.main()
