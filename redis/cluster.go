package redis

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

func (q *Queue) putCluster(ctx context.Context, items []bachata.Item, results []bachata.PutResult) error {
	return q.putBucket(ctx, items, results)
}

func (q *Queue) carry(ctx context.Context, list string, out rueidis.RedisMessage) {}
