#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A certificate authority that stays: made, used, rotated.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

CA=$WORLD/ca
key_of() { openssl pkey -in "$1" -pubout 2>/dev/null | sha256sum; }
cert_key_of() { openssl x509 -in "$1" -noout -pubkey 2>/dev/null | sha256sum; }
with_ca() { # COMMAND…
	: >"$WORLD/log/audit"
	"$EXEAT" run -p "$POLICIES/names.yaml" --ca "$CA" --log "$WORLD/log/audit" -q -- "$@"
}
# What a workload that trusts only the certificate in FILE sees.
trusts() { # FILE
	cp "$1" "$WORLD/tmp/trusted.pem" # its own folder is hidden from a run
	set -- "$WORLD/tmp/trusted.pem"
	with_ca curl -sS -m 60 --cacert "$1" -o /dev/null -w '%{http_code}' https://ok.shared.test/ 2>&1
}

refuse "a run without the CA that it names does not begin" with_ca true
check "init" "$EXEAT" ca init --dir "$CA"
same "the key is for its owner only" "$(stat -c %a "$CA/ca.key")" 600
same "the certificate is for everybody" "$(stat -c %a "$CA/ca.pem")" 644
same "they are a pair" "$(key_of "$CA/ca.key")" "$(cert_key_of "$CA/ca.pem")"
before=$(sha256sum <"$CA/ca.key")
refuse "init again leaves it as it is" "$EXEAT" ca init --dir "$CA"
same "to the byte" "$(sha256sum <"$CA/ca.key")" "$before"
has "show" "$("$EXEAT" ca show --dir "$CA")" '^signs +exeat CA .* ECDSA'
refuse "show where there is none" "$EXEAT" ca show --dir "$WORLD/nothing"
chmod 777 "$CA"
refuse "a directory that others may write to is refused" with_ca true
chmod 755 "$CA"

cp "$CA/ca.pem" "$WORLD/tmp/first.pem"
same "a workload that trusts it" "$(trusts "$WORLD/tmp/first.pem")" 200
same "trusts the next run as well" "$(trusts "$WORLD/tmp/first.pem")" 200
out=$(with_ca sh -c 'cat '"$CA"'/ca.key' 2>&1)
hasnt "the workload cannot read the key" "$out" 'PRIVATE'

check "rotate, the first step" "$EXEAT" ca rotate --dir "$CA"
refuse "is taken once" "$EXEAT" ca rotate --dir "$CA"
has "show tells of both" "$("$EXEAT" ca show --dir "$CA")" '^next '
same "the former one still signs" "$(trusts "$WORLD/tmp/first.pem")" 200
cp "$CA/trust.pem" "$WORLD/tmp/both.pem"
same "and both are trusted" "$(grep -c BEGIN "$WORLD/tmp/both.pem")" 2
check "the second step" "$EXEAT" ca rotate --switch --dir "$CA"
refuse "is taken once" "$EXEAT" ca rotate --switch --dir "$CA"
same "key and certificate are a pair" "$(key_of "$CA/ca.key")" "$(cert_key_of "$CA/ca.pem")"
same "who has trust.pem of before trusts the new one" "$(trusts "$WORLD/tmp/both.pem")" 200
hasnt "who has the former certificate alone does not" "$(trusts "$WORLD/tmp/first.pem")" '^200'
has "the former one is old" "$("$EXEAT" ca show --dir "$CA")" '^old '
check "it is trusted until it ends" grep -qF "$(sed -n 2p "$WORLD/tmp/first.pem")" "$CA/trust.pem"
same "the commands of a run trust what there is" \
	"$(with_ca curl -sS -m 60 -o /dev/null -w '%{http_code}' https://ok.shared.test/ 2>&1)" 200

# ---- steps that were broken off ----

CA=$WORLD/broken
mkdir "$CA"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$CA/ca.key" 2>/dev/null
check "an init that was broken off can be taken again" "$EXEAT" ca init --dir "$CA"
before=$(sha256sum <"$CA/ca.key")
check "a first step" "$EXEAT" ca rotate --dir "$CA"
mv "$CA/ca-next.pem" "$WORLD/tmp/next.pem"
refuse "that was broken off is no second one" "$EXEAT" ca rotate --switch --dir "$CA"
same "the key that signs is untouched" "$(sha256sum <"$CA/ca.key")" "$before"
check "it can be taken again" "$EXEAT" ca rotate --dir "$CA"
cp "$CA/ca-next.pem" "$WORLD/tmp/good.pem"
cp "$WORLD/tmp/next.pem" "$CA/ca-next.pem"
refuse "what is no pair is not switched to" "$EXEAT" ca rotate --switch --dir "$CA"
same "the key that signs is untouched then, too" "$(sha256sum <"$CA/ca.key")" "$before"
same "and signs" "$(trusts "$CA/ca.pem")" 200
mv "$WORLD/tmp/good.pem" "$CA/ca.pem" # as a second step does first
refuse "a second step that was broken off leaves no pair" with_ca true
before=$(sha256sum <"$CA/ca-next.key")
rm "$CA/ca-next.pem"
refuse "no first one can be taken then" "$EXEAT" ca rotate --dir "$CA"
same "nor takes the key away" "$(sha256sum <"$CA/ca-next.key")" "$before"
check "it can be ended" "$EXEAT" ca rotate --switch --dir "$CA"
same "and signs with that key" "$(sha256sum <"$CA/ca.key")" "$before"
same "whom workloads trust" "$(trusts "$CA/trust.pem")" 200
same "trust.pem is for everybody" "$(stat -c %a "$CA/trust.pem")" 644

# ---- two at once ----
twice=0 none=0
for i in 1 2 3 4 5 6; do
	CA=$WORLD/race$i
	"$EXEAT" ca init --dir "$CA" >"$WORLD/tmp/a" 2>&1 &
	one=$!
	"$EXEAT" ca init --dir "$CA" >"$WORLD/tmp/b" 2>&1 && wait $one && twice=$((twice + 1))
	wait $one
	grep -q '^signs' "$WORLD/tmp/a" "$WORLD/tmp/b" || none=$((none + 1))
	"$EXEAT" ca rotate --dir "$CA" >"$WORLD/tmp/a" 2>&1 &
	one=$!
	"$EXEAT" ca rotate --dir "$CA" >"$WORLD/tmp/b" 2>&1 && wait $one && twice=$((twice + 1))
	wait $one
	"$EXEAT" ca rotate --switch --dir "$CA" >/dev/null || none=$((none + 1))
done
same "of two at once, one is refused" "$twice" 0
same "and the other one did it, with a pair that signs" "$none" 0
exec 9<"$CA/lock"
flock 9
"$EXEAT" ca rotate --dir "$CA" >/dev/null &
one=$!
has_open() { # PID FILE
	find "/proc/$1/fd" -lname "$2" | grep -q .
}
check "who comes second waits" world_wait 60 has_open $one "$CA/lock"
refuse "and does nothing yet" test -e "$CA/ca-next.key"
"$EXEAT" ca show --dir "$CA" >"$WORLD/tmp/show" &
two=$!
check "so does who reads" world_wait 60 has_open $two "$CA/lock"
refuse "and sees nothing half changed" test -s "$WORLD/tmp/show"
flock -u 9
wait $one
same "then goes on" $? 0
wait $two
same "and sees it whole" $? 0
same "nobody else can hold it up" "$(stat -c %a "$CA/lock")" 600

# ---- a link of somebody's ----
mkdir "$WORLD/tmp/theirs" "$WORLD/tmp/secret"
chown nobody "$WORLD/tmp/theirs"
chmod 700 "$WORLD/tmp/secret"
ln -s "$WORLD/tmp/secret" "$WORLD/tmp/theirs/ca"
chown -h nobody "$WORLD/tmp/theirs/ca"
refuse "no CA by a link of a user's" "$EXEAT" ca init --dir "$WORLD/tmp/theirs/ca"
refuse "nor beyond one" "$EXEAT" ca init --dir "$WORLD/tmp/theirs/ca/x/"
same "what it leads to is as it was" "$(stat -c %a "$WORLD/tmp/secret")$(ls -A "$WORLD/tmp/secret")" 700
check "by one of root's" sh -c "ln -s '$WORLD/tmp/secret' '$WORLD/tmp/ours' && '$EXEAT' ca init --dir '$WORLD/tmp/ours/'"
same "a directory that was there keeps its mode" "$(stat -c %a "$WORLD/tmp/secret")" 700

# ---- limits ----
CA=$WORLD/narrow
check "one for some names" "$EXEAT" ca init --dir "$CA" --permit shared.test --days 10 --rsa
has "is RSA, for some names, and ends soon" "$("$EXEAT" ca show --dir "$CA")" 'RSA.*ends soon.*some names'
same "signs for those" "$(trusts "$CA/trust.pem")" 200
hasnt "and for no others" "$(with_ca curl -sS -m 20 -w '%{http_code}' https://api.openai.com/plain 2>&1)" 200
for wrong in '--days 0' '--days 9999' '--switch' '--permit UPPER.test' '--permit a..b' '--permit 1.2.3.4' '--days'; do
	# shellcheck disable=SC2086
	refuse "init $wrong is refused" "$EXEAT" ca init --dir "$WORLD/wrong" $wrong
done
refuse "show takes no wish" "$EXEAT" ca show --dir "$CA" --days 10
refuse "nor does the second step" "$EXEAT" ca rotate --switch --rsa --dir "$CA"
has "a place that cannot be there is called that" "$("$EXEAT" ca init --dir "$WORLD/no/where" 2>&1)" 'No such file'
out=$("$EXEAT" ca rotate --dir "$CA" 2>&1)
has "it is not followed by one for all names without a word" "$out" 'some names only: say by --permit'
refuse "and nothing was done" test -e "$CA/ca-next.key"
check "one for some names follows it" "$EXEAT" ca rotate --dir "$CA" --permit shared.test
same "which is that, too" "$("$EXEAT" ca show --dir "$CA" | grep -c 'some names only')" 2
printf 'junk' >"$CA/ca.key"
refuse "a key that is none is refused" with_ca true

tap_done
