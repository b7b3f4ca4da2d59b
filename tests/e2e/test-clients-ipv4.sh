#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
export FAMILY=4
. "$(dirname "$0")/clients.sh"
