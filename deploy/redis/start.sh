#!/bin/sh
# Starts a server with redis.conf and its users; arguments such as "--port 7001" win over redis.conf. The
# passwords come from files and go in by standard input, so that no list of processes shows them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS:-/run/secrets}
admin=$(cat "$secrets/redis-admin")
bachata=$(cat "$secrets/redis-bachata")

# What a node may do: docs/redis.md, "Rights".
rights='+ping +info +config|get +role +select +wait +eval +evalsha'
rights="$rights +get +set +setrange +mget +del +unlink +exists +pexpire +renamenx"
rights="$rights +hget +hset +hsetnx +hmget +hgetall +hdel +zadd +zrem +zrangebyscore"
rights="$rights +lindex +linsert +llen +lpush +lrange +lrem +lset +ltrim +rpop +rpoplpush +rpush"
rights="$rights +spublish +ssubscribe +sunsubscribe +unsubscribe +punsubscribe +discard"
rights="$rights +cluster|slots +cluster|shards +asking"
rights="$rights +waitaof +client|setinfo"

exec redis-server "$here/redis.conf" "$@" - <<END
requirepass $admin
masterauth $admin
user bachata on >$bachata ~* &* $rights
END
