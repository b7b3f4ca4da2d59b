#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a terminal of its own; types a key when it says "ready"; prints what it says, and how it ends.

usage: keys.py NUMBER-OF-THE-KEY COMMAND...      (3 is Ctrl-C, 28 Ctrl-\\, 0 none)
"""
import os
import pty
import sys

key = int(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said = b""
while True:
    try:
        said += os.read(terminal, 4096)
    except OSError:  # nobody has it open any more
        break
    if key and b"ready" in said:
        os.write(terminal, bytes([key]))
        key = 0
_, status = os.waitpid(pid, 0)
print(said.decode(errors="replace"), "status", os.waitstatus_to_exitcode(status))
