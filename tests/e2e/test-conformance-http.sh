#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP rules: methods, paths, ports, and the header that a policy injects.

. "$(dirname "$0")/conformance.sh"

for f in -4 -6; do
	targets
	table <<-END
		client to-fqdns-and-http-get,only-dns 200 allowed http://pass.example/
		client to-fqdns-and-http-get,only-dns 403 http-denied http://pass.example/foo
		client to-fqdns-and-http-get,only-dns 403 http-denied -X POST http://pass.example/
		client to-fqdns-and-http-get,only-dns 000 default-deny https://pass.example/
		client to-fqdns-and-http-get,only-dns 000 default-deny http://evil.example/
		client to-fqdns-and-http-get 200 allowed http://pass.example/
		client to-fqdns-and-http-get 000 dns-name-denied http://evil.example/

		client2 l7-http,only-dns 200 allowed http://pass.example/
		client2 l7-http,only-dns 403 http-denied http://pass.example/foo
		client2 l7-http,only-dns 200 allowed http://$echo:8080/
		client2 l7-http,only-dns 403 http-denied http://$echo:8080/foo
		client2 l7-http,only-dns 000 default-deny https://pass.example/
		client l7-http,only-dns 000 default-deny http://pass.example/
		client l7-http,only-dns 000 default-deny http://$echo:8080/
		client2 l7-http-port-range,only-dns 200 allowed http://pass.example/
		client2 l7-http-port-range,only-dns 403 http-denied http://pass.example/foo
		client2 l7-http-port-range,only-dns 200 allowed http://$echo:8080/
		client2 l7-http-port-range,only-dns 403 http-denied http://$echo:8080/foo
		client2 l7-http-port-range,only-dns 000 default-deny http://pass.example:128/
		client l7-http-port-range,only-dns 000 default-deny http://$echo:8080/
		client2 l7-http-named-port,only-dns 200 allowed http://$echo:8080/
		client2 l7-http-named-port,only-dns 403 http-denied http://$echo:8080/foo
		client2 l7-http-named-port,only-dns 000 default-deny http://$echo:8081/
		client l7-http-named-port,only-dns 000 default-deny http://$echo:8080/

		client2 l7-http-method,only-dns 200 allowed -X POST http://$echo:8080/public
		client2 l7-http-method,only-dns 200 allowed -X POST http://$echo:8080/private
		client2 l7-http-method,only-dns 403 http-denied http://$echo:8080/public
		client2 l7-http-method,only-dns 403 http-denied http://$echo:8080/private
		client2 l7-http-method,only-dns 403 http-denied -X POST http://$echo:8080/publicly
		client l7-http-method,only-dns 000 default-deny -X POST http://$echo:8080/public
	END
done

# The header that the server wants is written into the request, and only where the policy is.
mkdir -p "$WORLD/secrets/tests"
echo 'Bearer 12345' >"$WORLD/secrets/tests/token"
for f in -4 -6; do
	targets
	ask=(curl -s -m 60 "$f" -X POST -w ' %{http_code}' "http://$echo:8080/auth-header-required")
	out=$(live client2 l7-http-matchheader-secret "${ask[@]}")
	has "l7-http-matchheader-secret, client2 $f: the header is injected" "$out" ' 200$'
	out=$(live client2 allow-all "${ask[@]}")
	has "allow-all, client2 $f: without the policy the server says 401" "$out" ' 401$'
	out=$(live client2 l7-http-matchheader-secret curl -s -m 60 $f -X POST "http://$echo:8080/other")
	has "l7-http-matchheader-secret, client2 $f: another path is denied" "$out" '"http-denied"'
	out=$(live client l7-http-matchheader-secret true 2>&1)
	same "l7-http-matchheader-secret, client $f: the policy is not for it" $? 125
done

tap_done
