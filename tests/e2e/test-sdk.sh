#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The npm SDKs of OpenAI and Anthropic, plain and streamed, over HTTP/1.1 and HTTP/2.

. "$(dirname "$0")/../lib/e2e.sh"
npm_packages
world_enter "$@"
world_up
need_npm "SDKs"

ORIGIN=203.0.113.86
world_name api.anthropic.com $ORIGIN
world_cert messages api.anthropic.com
world_daemon messages node "$TOP/tests/lib/messages_origin.mjs" "$WORLD/log/messages.seen" $ORIGIN 443 \
	"$WORLD"/tls/messages.{key,pem}
world_wait 60 nc -z $ORIGIN 443

for version in h1 h2; do
	world_forget
	tap_import "$(confined sdk node "$CLIENTS/sdk.mjs" $version 2>&1)"
	wire=$([ $version = h1 ] && echo 1.1 || echo 2.0)
	seen "$version: OpenAI's requests arrived over HTTP/$wire" "\"POST /v1/chat/completions HTTP/$wire\" 200"
	seen "$version: Anthropic's too" "\"version\":\"$wire\",\"method\":\"POST\",\"target\":\"/v1/messages\""
	unseen "$version: nothing denied did" 'models|embeddings|count_tokens'
	audited "$version: a denial is in the audit log" '"verdict": ?"deny"' 'count_tokens' "$(reason http-denied)"
done

tap_done
