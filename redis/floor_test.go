package redis_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata/internal/redistest"
)

// BenchmarkFloor reports what the same server spends on the cheapest commands from the same client.
func BenchmarkFloor(b *testing.B) {
	s := redistest.Start(b)
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.Addr()}, AlwaysPipelining: true, DisableCache: true, PipelineMultiplex: 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	nothing := rueidis.NewLuaScript("return 1")
	// What the original sends for a message, and a receipt, in three scripts: no ids remembered, no counts, no order kept
	// across nodes, nobody woken but by name.
	put := rueidis.NewLuaScript("redis.call('RPUSH', KEYS[2], ARGV[1], ARGV[2]) redis.call('LPUSH', KEYS[1], KEYS[2]) redis.call('PEXPIRE', KEYS[2], '99999999') redis.call('SPUBLISH', KEYS[1], '') return 1")
	hand := rueidis.NewLuaScript("local e = redis.call('RPOPLPUSH', KEYS[1], KEYS[2]) return {e, unpack(redis.call('LRANGE', e, '0', '-1'))}")
	pop := rueidis.NewLuaScript("redis.call('LREM', KEYS[1], '-1', KEYS[2]) local v = redis.call('LRANGE', KEYS[2], '1', '1') redis.call('DEL', KEYS[2]) redis.call('LPUSH', v[1], ARGV[1]) redis.call('LTRIM', v[1], '0', '9') return 1")
	var cycles atomic.Int64
	ten := rueidis.NewLuaScript("for i=1,10 do redis.call('SET', KEYS[1], 'v') end return 1")
	ctx := context.Background()
	for name, do := range map[string]func(){
		"set":   func() { c.Do(ctx, c.B().Set().Key("k").Value("v").Build()) },
		"lua":   func() { nothing.Exec(ctx, c, []string{"k"}, nil) },
		"lua10": func() { ten.Exec(ctx, c, []string{"k"}, nil) },
		"cycle": func() {
			n := strconv.FormatInt(cycles.Add(1), 10)
			list := "c" + n
			put.Exec(ctx, c, []string{list, list + ":" + n}, []string{string(text200), "o"})
			hand.Exec(ctx, c, []string{list, list + ":wait"}, nil)
			pop.Exec(ctx, c, []string{list + ":wait", list + ":" + n}, []string{`{"type":300,"data":"` + n + `","from":"bob","dest":"bob","time":1790000000000}`})
		},
	} {
		b.Run(name, func(b *testing.B) {
			var n atomic.Int64
			var wg sync.WaitGroup
			before := used(b, s)
			for range 64 {
				wg.Go(func() {
					for n.Add(1) <= int64(b.N) {
						do()
					}
				})
			}
			wg.Wait()
			b.ReportMetric((used(b, s)-before)/float64(b.N), "redis-µs/op")
		})
	}
}
