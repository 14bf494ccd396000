#!/bin/sh
# Makes a cluster of the servers that are named, half of them replicas, unless they are one: cluster.sh HOST:PORT...
set -eu
REDISCLI_AUTH=$(cat "${SECRETS:-/run/secrets}/redis-admin")
export REDISCLI_AUTH
says() { redis-cli -h "${1%:*}" -p "${1##*:}" cluster info | tr -d '\r' | grep -q "^$2\$"; }

if says "$1" cluster_known_nodes:1; then
	redis-cli --cluster create "$@" --cluster-replicas 1 --cluster-yes
fi
for server in "$@"; do
	tries=60
	until says "$server" cluster_state:ok; do
		tries=$((tries - 1))
		if [ $tries -eq 0 ]; then
			echo "cluster.sh: $server is in no complete cluster; look at its log and at CLUSTER INFO" >&2
			exit 1
		fi
		sleep 1
	done
done
