#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Node clients of the end-to-end tests into build/npm, as the lock file says, once.
# Prints the directory; fails when they can not be had. No install script of any package is run.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=${EXEAT_NPM_DIR:-$top/build/npm}
want=$(sha256sum <"$top/tests/e2e/package-lock.json")

if [ "$(cat "$dir/.done" 2>/dev/null)" != "$want" ]; then
	mkdir -p "$dir"
	exec 9>"$dir/.lock"
	flock 9
	if [ "$(cat "$dir/.done" 2>/dev/null)" != "$want" ]; then
		cp "$top"/tests/e2e/package.json "$top"/tests/e2e/package-lock.json "$dir/"
		(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=5) >&2 </dev/null
		echo "$want" >"$dir/.done"
	fi
fi
echo "$dir"
