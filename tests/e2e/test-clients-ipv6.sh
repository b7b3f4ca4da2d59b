#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
export FAMILY=6
# shellcheck source=tests/e2e/clients.sh
. "$(dirname "$0")/clients.sh"
