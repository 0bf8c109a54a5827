# SPDX-License-Identifier: MIT
"""A row of the table, and the goal that it may have."""


class Goal:
    """What our number in a row is to reach. All that is given must hold: `peer`, so many times better than the best peer;
    `relay`, for a rate this part of the relay's at least, for a time or a cost this multiple of it at most; `most` and
    `least`, of the number itself."""

    def __init__(self, peer=None, relay=None, most=None, least=None):
        self.peer, self.relay, self.most, self.least = peer, relay, most, least


class Row:
    def __init__(self, key, title, more_is_better, digits=0, goal=None):
        self.key, self.title, self.more_is_better, self.digits, self.goal = key, title, more_is_better, digits, goal
