"""Callers of Recommend by a balancer, who try nothing again."""

import itertools
import threading
import time

import grpc

RECOMMEND = "/groundswell.v1.RecommendationService/Recommend"
CALLERS = 6  # each with one call under way


class Lists:
    def __init__(self, port):
        self.failed = []  # (begin, end, code, details)
        self._answered, self._ends = [0] * CALLERS, threading.Event()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _ask(self, nth):
        call = self._channel.unary_unary(RECOMMEND)
        for number in itertools.count():
            if self._ends.wait(0.02):
                return
            user = f"user-{(number * CALLERS + nth) % 300}".encode()
            begin = time.monotonic()
            try:
                call(bytes([3 << 3 | 2, len(user)]) + user, timeout=10)  # RecommendRequest.user_id
                self._answered[nth] += 1
            except grpc.RpcError as error:
                self.failed.append((begin, time.monotonic(), error.code().name, error.details()))

    def answered(self):
        return sum(self._answered)

    def failed_beside_no(self, kills):
        """Those that were not under way at one of `kills`, (begin, end): beside a kill, one of each caller may fail."""
        return [failed for failed in self.failed
                if not any(failed[0] <= kill[1] and failed[1] >= kill[0] for kill in kills)]

    def stop(self):
        self._ends.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()
