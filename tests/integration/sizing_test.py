"""The calculator of docs/sizing.md: its examples are what it computes, and a real server takes what it says.

    sizing_test.py SERVER_PROGRAM CLIENT_PROGRAM SNAPSHOT_DIRECTORY
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

from connect_server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/sizing.md").read_text(encoding="utf-8")
# Of the sample: customers, items, purchases, and distinct pairs of these.
SAMPLE = (4_105, 3_630, 338_290, 234_944)
ROOM = 1_000_000


def calculator():
    """What the blocks of the document define."""
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", DOCUMENT, re.M)]
    names = {}
    for block in blocks:
        if "machine(" in block:
            exec(block, names)  # pylint: disable=exec-used
    return names


NAMES = calculator()


class ExamplesTest(unittest.TestCase):
    def test_the_table_has_what_the_calculator_computes(self):
        for name in ("shop", "news", "large"):
            machine = NAMES[name]
            row = re.search(rf"(?m)^\| {name} \|.*$", DOCUMENT).group()
            self.assertEqual([cell.strip() for cell in row.split("|")[7:11]],
                             [f"{machine.memory_gb:.2f} GB", f"{machine.full_memory_gb:.2f} GB", f"{machine.disk_gb:.1f} GB",
                              f"{machine.cores:.1f}"])


class ServerTest(unittest.TestCase):
    def serve(self, *flags):
        """{metric: value} of a server that holds the sample."""
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="groundswell-test-"))
        server = Server(SERVER, SNAPSHOT, directory, *flags)
        try:
            text = server.metrics()
            described = subprocess.run([CLIENT, "--server", f"127.0.0.1:{server.ports['grpc']}", "status"], check=True,
                                       text=True, capture_output=True, timeout=60).stdout
        finally:
            server.stop()
        self.assertIn(f"{SAMPLE[0]} users, {SAMPLE[3]} edges", described)  # the sample is what is said above
        return {name: float(value) for name, value in re.findall(r"(?m)^(\w+(?:\{[^}]*\})?) (\S+)$", text)}

    def test_memory_and_disk_of_the_sample(self):
        small, large = self.serve(), self.serve(f"--graph.new_items_max={ROOM}")
        machine = NAMES["machine"](*SAMPLE)
        memory = small["process_resident_memory_bytes"]
        self.assertGreater(memory, .8e9 * machine.memory_gb)
        self.assertLess(memory, 1e9 * machine.full_memory_gb)
        # What is allocated for adjacency comes in pieces of megabytes.
        self.assertLess(small["groundswell_adjacency_bytes"], 23 * SAMPLE[3] + 12 * SAMPLE[2] + (16 << 20))
        of_room = (large["process_resident_memory_bytes"] - memory) / (ROOM - 100_000)
        self.assertGreater(of_room, .7 * 129)
        self.assertLess(of_room, 1.3 * 129)
        # An imported graph has no log, and no checkpoint yet.
        users, items, interactions, edges = SAMPLE
        without_log = (1e9 * machine.disk_gb - 132 * interactions - 60 * interactions - 2 * 528 * items)
        self.assertGreater(small["groundswell_rocksdb_sst_bytes"], .3 * without_log)
        self.assertLess(small["groundswell_rocksdb_sst_bytes"], 1.1 * without_log)


if __name__ == "__main__":
    SERVER, CLIENT, SNAPSHOT = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1])
