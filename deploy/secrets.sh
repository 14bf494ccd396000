#!/bin/sh
# Makes the passwords that compose.yaml reads, unless they are there: sh deploy/secrets.sh
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
# The users inside of the containers read these, also where the umask keeps new files from others.
chmod -R a+rX redis haproxy
# Nobody else on this machine gets into the folder; the users inside of the containers read the files in it.
chmod 700 secrets
for name in redis-admin redis-bachata; do
	if [ ! -s "secrets/$name" ]; then
		od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
		chmod 644 "secrets/$name"
		echo "made deploy/secrets/$name"
	fi
done
