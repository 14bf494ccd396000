#!/bin/sh
# Makes a cluster of the servers that are named, half of them replicas, unless they are one: cluster.sh HOST:PORT...
set -eu
REDISCLI_AUTH=$(cat "${SECRETS:-/run/secrets}/redis-admin")
export REDISCLI_AUTH
ask() {
	at=$1
	shift
	redis-cli -h "${at%:*}" -p "${at##*:}" cluster "$@" </dev/null | tr -d '\r'
}
says() { ask "$1" info | grep -q "^$2\$"; }
# What each server says of itself: ID ADDRESS FLAGS PRIMARY, four more, and its slots.
selves() { for one in "$@"; do ask "$one" nodes | grep myself; done; }
# A primary that has no replica, behind a server that has no slots.
missing() {
	selves "$@" | awk '
		$3 ~ /slave/ { has[$4] = 1 }
		$3 ~ /master/ && NF > 8 { primary[++p] = $1 }
		$3 ~ /master/ && NF == 8 { sub(/@.*/, "", $2); free[++f] = $2 }
		END { for (i = 1; i <= p && n < f; i++) if (!(primary[i] in has)) print free[++n], primary[i] }'
}

if says "$1" cluster_known_nodes:1; then
	redis-cli --cluster create "$@" --cluster-replicas 1 --cluster-yes
fi
tries=60
wait_for() {
	tries=$((tries - 1))
	if [ $tries -eq 0 ]; then
		echo "cluster.sh: $1; look at the log of the server and at CLUSTER NODES there" >&2
		exit 1
	fi
	sleep 1
}
for server in "$@"; do
	until says "$server" cluster_state:ok; do wait_for "$server is in no complete cluster"; done
done
# Who was interrupted while it made the cluster has left it without replicas.
while some=$(missing "$@") && [ -n "$some" ]; do
	echo "$some" | while read -r server primary; do
		echo "$server is to follow $primary"
		ask "$server" replicate "$primary"
	done
	wait_for "a primary has no replica"
done
