# SPDX-License-Identifier: Apache-2.0
"""TAP points of a client: point() for each, plan() at the end."""
points = 0


def point(good, what, *details):
    global points
    points += 1
    print(("ok - " if good else "not ok - ") + what)
    for detail in details[:12] if not good else ():
        print("# %.600r" % (detail,))


def plan():
    print("1..%d" % points)
