#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Endpoints made, removed, relabelled, policies swapped, all at once and under traffic: no verdict is
# wrong, nothing leaks. By hand, the long form:
#   CHURN="--endpoints 200 --seconds 300" tests/e2e/test-agent-churn.sh

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"
node_agent

world_daemon ports python3 -c '
import asyncio
async def serve(r, w):
    if await r.readline():
        w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await w.drain()
    w.close()
async def main():
    for port in [*range(7000, 7020), *range(7100, 7120), *range(8000, 8020)]:
        await asyncio.start_server(serve, "'"$ECHO4"'", port)
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())'
world_wait 60 grep -q ready "$WORLD/log/ports.out"
read -ra options <<<"${CHURN-}"
tap_import "$(python3 "$TOP/tests/lib/churn.py" run --socket "$AGENT_SOCK" --policy-dir "$POLICY_DIR" \
	"${options[@]}" 2>&1)"
kill -TERM $agent_pid # leaks are told of at the end
wait $agent_pid
hasnt "the agent had nothing to complain of" "$(cat "$WORLD/log/agent")" 'error|Sanitizer'
tap_done
