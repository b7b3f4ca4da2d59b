# SPDX-License-Identifier: Apache-2.0
"""G11: what a name that is seen for the first time costs beside one whose leaf is there.

Connections one after the other, each to another name below mint.test, beside as many to one name that
was asked for before. Towards the server both cost the same: a connection and a full handshake each.
The names are looked up before anything is counted.
"""

import json
import os
import sys

from variant import cpu_of

NAMES = 100 if "--short" in sys.argv else 200 # a round; peers.sh has 2000 of them
POLICY = "policy-peers-mint"
GOAL = 250 # us
LOAD = os.environ["LOAD"] + "/load"
URL = "https://n{}.mint.test/v1/chat/completions"


def connections(v, name, first):
    """CPU us of the proxy for one of NAMES connections, or what broke."""
    command = [LOAD, "-n", "-c", "2", "-s", "30", "-m", "POST", "-u", "113", "-l", "215", "-r", str(NAMES), "-f", str(first)]
    if v.ask("start", *command, URL.format(name)) != "{}":
        return None, "the names could not be looked up"
    before = sum(map(cpu_of, v.pids))
    got = json.loads(json.loads(v.ask("stop"))["out"] or "{}")
    took = sum(map(cpu_of, v.pids)) - before
    if not got:
        return None, "no answer"
    if got["errors"] or got["wrong"] or got["requests"] != NAMES:
        return None, f"{got['errors']} broken and {got['wrong']} wrong of {got['requests']} answers"
    return took / NAMES * 1e6, None


def sample(v, r):
    """One round of one proxy: a name below 1 is what it has seen before."""
    if r == 0:
        connections(v, 0, 0) # what is had once is not theirs
    seen, broken = connections(v, 0, 0)
    fresh, worse = connections(v, "%u", 1 + r * NAMES)
    if broken or worse:
        return {"broken": broken or worse}
    return {"seen": seen, "fresh": fresh, "extra": fresh - seen}
