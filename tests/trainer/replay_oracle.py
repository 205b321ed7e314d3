"""A slow, obvious replay of the macro graph, to compare the server's replay tool with."""

import numpy as np


class MacroGraphOracle:
    """The state of docs on the macro graph, straight from its definitions, one event at a time.

    Users and items are indices; recent lists hold distinct neighbours, newest first, as table rows
    (index + 1, 0 where there is none).
    """

    def __init__(self, user_clusters, item_clusters, p, q, recent_len):
        self.uc, self.ic, self.recent_len = user_clusters, item_clusters, recent_len
        self.taken = [{} for _ in user_clusters]  # A[u, .], newest last
        self.takers = [{} for _ in item_clusters]  # distinct users of an item, newest last
        # Of each pair, what is left of its interactions: [number of the event, weight], newest last.
        self.left, self.events = {}, 0
        self.time_us = [0]  # of each event
        self.h1_u = np.zeros((len(user_clusters), q), np.int64)
        self.h1_i = np.zeros((len(item_clusters), p), np.int64)
        self.h2_i = np.zeros((len(item_clusters), q), np.int64)

    def apply(self, user, item, weight=1, time_us=0):
        """Whether it was: what would leave a negative count is refused as a whole."""
        taken = self.taken[user]
        if taken.get(item, 0) + weight < 0:
            return False
        if taken:
            others = np.fromiter(taken.keys(), np.int64, len(taken))
            self.h2_i[others, self.ic[item]] += weight * np.fromiter(taken.values(), np.int64, len(taken))
        self.h2_i[item] += weight * self.h1_u[user]
        self.h2_i[item, self.ic[item]] += weight * weight
        self.h1_u[user, self.ic[item]] += weight
        self.h1_i[item, self.uc[user]] += weight
        self.events += 1
        self.time_us.append(time_us)
        taken[item] = taken.get(item, 0) + weight
        self.takers[item][user] = None
        self._leave(self.left.setdefault((user, item), []), weight)
        if taken[item] == 0:
            del taken[item], self.takers[item][user]
        newest = lambda user, item: self.left[user, item][-1][0]
        self.taken[user] = dict(sorted(taken.items(), key=lambda of: newest(user, of[0])))
        self.takers[item] = dict(sorted(self.takers[item].items(), key=lambda of: newest(of[0], item)))
        return True

    def _leave(self, left, weight):
        """The newest interactions are taken back first."""
        if weight > 0:
            left.append([self.events, weight])
        while weight < 0:
            gone = min(left[-1][1], -weight)
            left[-1][1] -= gone
            weight += gone
            if left[-1][1] == 0:
                left.pop()

    def user_two_hop(self, user):
        taken = self.taken[user]
        if not taken:
            return np.zeros(self.h1_i.shape[1], np.int64)
        others = np.fromiter(taken.keys(), np.int64, len(taken))
        return np.fromiter(taken.values(), np.int64, len(taken)) @ self.h1_i[others]

    def recent_items(self, user):
        return self._newest(self.taken[user])

    def recent_times_us(self, user):
        """When the items of recent_items were taken last; 0 behind the last."""
        times = np.zeros(self.recent_len, np.int64)
        newest = list(reversed(self._times_us(user)))[: self.recent_len]
        times[: len(newest)] = newest
        return times

    def first_time_us(self, user):
        """The oldest of those of all items."""
        return min(self._times_us(user), default=0)

    def _times_us(self, user):
        return [self.time_us[self.left[user, item][-1][0]] for item in self.taken[user]]

    def recent_users(self, item):
        return self._newest(self.takers[item])

    def _newest(self, neighbours):
        rows = np.zeros(self.recent_len, np.int32)
        for position, index in zip(range(self.recent_len), reversed(neighbours)):
            rows[position] = index + 1
        return rows
