#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Ciphers, digests and signatures there and back; speed in forked children.
# packages: openssl
# tier: bracket
# min-faults: 100
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P openssl > /dev/null || { echo "no openssl" && exit 77; }

seq 800000 > in
for d in sha256 sha3-512 blake2b512 md5; do
	$NB_RUN openssl dgst -$d in
done
for c in aes-256-cbc chacha20 camellia-192-ctr aria-128-cbc; do
	$NB_RUN openssl enc -$c -pbkdf2 -k secret -S 0011223344556677 -in in \
		-out enc
	sha256sum < enc
	$NB_RUN openssl enc -d -$c -pbkdf2 -k secret -S 0011223344556677 \
		-in enc | cmp - in
done
$NB_RUN openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 \
	-out key 2> /dev/null
$NB_RUN openssl pkey -in key -pubout -out pub
$NB_RUN openssl dgst -sha256 -sign key -out sig in
$NB_RUN openssl dgst -sha256 -verify pub -signature sig in
$NB_RUN openssl req -x509 -key key -subj /CN=test -days 9 -out cert
$NB_RUN openssl cms -encrypt -binary -in in -aes-256-cbc -out cms cert
$NB_RUN openssl cms -decrypt -binary -in cms -inkey key | cmp - in
$NB_RUN openssl speed -multi 3 -seconds 1 -evp aes-128-gcm > out
grep -c '^AES-128-GCM' out
$NB_RUN openssl speed -multi 2 -seconds 1 ecdsap256 > out
grep -c 'ecdsa (nistp256)' out
