# SPDX-License-Identifier: Apache-2.0
"""The client's place in a benchmark: runs, inside a workload, what it is told on standard input.

One JSON array a line: a command and its arguments. It runs on CPU 0 and what it prints goes back, a
line for a line. ["start", ...] leaves it running and answers its first line; ["stop"] ends its input,
and answers what it printed then.
"""

import json
import os
import subprocess
import sys


def main():
    os.sched_setaffinity(0, {0})
    print("ready", flush=True)
    held = None
    for line in sys.stdin:
        command = json.loads(line)
        if command[0] == "start":
            held = subprocess.Popen(command[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            print(held.stdout.readline().strip(), flush=True)
        elif command[0] == "stop":
            print(json.dumps({"out": held.communicate()[0]}), flush=True)
        else:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=sys.stderr, text=True, check=False)
            print(json.dumps({"status": done.returncode, "out": done.stdout}), flush=True)


main()
