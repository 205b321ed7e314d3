"""HAProxy with docker/haproxy/haproxy.cfg before three servers, of which two are killed within one round of its checks.

    balancer_test.py SERVER_PROGRAM SNAPSHOT_DIRECTORY

No call for a list may fail that was not under way when a server was killed. Status 77: no balancer can run here.
"""

import pathlib
import shutil
import sys
import tempfile
import time
import unittest

from cluster import Balancer, ClusterServer, becomes, free_ports
from cluster_lists import Lists
from connect_server import imported

SKIPPED = 77
PROGRAM, SNAPSHOT = sys.argv[1:3]
ENOUGH = 300  # answers, so that each of the callers asked for users of each server


class BalancerTest(unittest.TestCase):
    def setUp(self):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="groundswell-balancer-"))
        self.addCleanup(shutil.rmtree, directory)
        database, ports = imported(PROGRAM, SNAPSHOT), iter(free_ports(9))
        self.servers = {}
        for name in "abc":
            self.servers[name] = ClusterServer(PROGRAM, directory / name, (next(ports), next(ports), next(ports)),
                                               ["--request.default_deadline_ms=60000"])
            shutil.copytree(database, self.servers[name].data_dir)
            self.servers[name].start()
            self.addCleanup(self.servers[name].kill)
        for server in self.servers.values():
            server.await_ready()
        self.balancer = Balancer(directory, self.servers)
        self.addCleanup(self.balancer.stop)
        self.assertTrue(becomes(lambda: len(self.balancer.up()) == len(self.servers)))

    def test_two_servers_that_die_at_once_cost_the_calls_under_way(self):
        lists = Lists(self.balancer.port)
        self.addCleanup(lists.stop)
        self.assertTrue(becomes(lambda: lists.answered() >= ENOUGH))
        kills = []
        for name in "ab":
            begin = time.monotonic()
            self.servers[name].kill()
            kills.append((begin, time.monotonic()))
        self.assertTrue(becomes(lambda: self.balancer.up() == {"c"}))
        then = lists.answered() + ENOUGH
        self.assertTrue(becomes(lambda: lists.answered() >= then))
        lists.stop()
        self.assertEqual(lists.failed_beside_no(kills), [])


if __name__ == "__main__":
    if shutil.which("haproxy") is None:
        print("haproxy is missing (Debian's haproxy)")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1])
