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
        self.h1_u = np.zeros((len(user_clusters), q), np.int64)
        self.h1_i = np.zeros((len(item_clusters), p), np.int64)
        self.h2_i = np.zeros((len(item_clusters), q), np.int64)

    def apply(self, user, item, weight=1):
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
        if weight > 0:
            taken[item] = taken.pop(item, 0) + weight
            self.takers[item].pop(user, None)
            self.takers[item][user] = None
        else:  # the newest are taken back; the pair stays where it is while something is left
            taken[item] += weight
            if taken[item] == 0:
                del taken[item], self.takers[item][user]
        return True

    def user_two_hop(self, user):
        taken = self.taken[user]
        if not taken:
            return np.zeros(self.h1_i.shape[1], np.int64)
        others = np.fromiter(taken.keys(), np.int64, len(taken))
        return np.fromiter(taken.values(), np.int64, len(taken)) @ self.h1_i[others]

    def recent_items(self, user):
        return self._newest(self.taken[user])

    def recent_users(self, item):
        return self._newest(self.takers[item])

    def _newest(self, neighbours):
        rows = np.zeros(self.recent_len, np.int32)
        for position, index in zip(range(self.recent_len), reversed(neighbours)):
            rows[position] = index + 1
        return rows
