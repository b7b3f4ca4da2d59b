#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Server names, and TLS that is ended here.

. "$(dirname "$0")/conformance.sh"

# names of several labels, for the stars of server names
for label in first second; do
	world_name fake.external.$label.test 203.0.113.70
	world_name fake.external.$label.test 2001:db8:113::70
done
world_name plain.external.first.test 203.0.113.70
world_name plain.external.first.test 2001:db8:113::70

for f in -4 -6; do
	targets
	table <<-END
		client l7-tls,only-dns 200 allowed -H X-Very-Secret-Token:42 https://pass.example/
		client l7-tls,only-dns 403 http-denied https://pass.example/
		client l7-tls,only-dns 403 http-denied -H X-Very-Secret-Token:43 https://pass.example/
		client l7-tls-sni,only-dns 200 allowed -H X-Very-Secret-Token:42 https://pass.example/
		client l7-tls-sni,only-dns 403 http-denied https://pass.example/
		client l7-tls-sni,only-dns tls sni-denied -H X-Very-Secret-Token:42 https://evil.example/
		client l7-tls-other-sni,only-dns tls sni-denied -H X-Very-Secret-Token:42 https://pass.example/

		client tls-sni,only-dns 200 allowed https://pass.example/
		client tls-sni,only-dns tls sni-denied https://evil.example/
		client tls-sni,only-dns 000 default-deny http://pass.example/
		client tls-sni-wildcard,only-dns 200 allowed https://fake.external.first.test/
		client tls-sni-wildcard,only-dns tls sni-denied https://fake.external.second.test/
		client tls-sni-wildcard,only-dns 000 default-deny http://fake.external.first.test/
		client tls-sni-double-wildcard,only-dns 200 allowed https://fake.external.first.test/
		client tls-sni-double-wildcard,only-dns tls sni-denied https://fake.external.second.test/
		client tls-sni-double-wildcard,only-dns 000 default-deny http://fake.external.first.test/
		client tls-sni-random,only-dns 200 allowed https://fake.external.first.test/
		client tls-sni-random,only-dns tls sni-denied https://plain.external.first.test/
		client tls-sni-random,only-dns tls sni-denied https://fake.external.second.test/
	END
done

tap_done
