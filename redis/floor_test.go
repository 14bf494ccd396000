package redis_test

import (
	"context"
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
	ten := rueidis.NewLuaScript("for i=1,10 do redis.call('SET', KEYS[1], 'v') end return 1")
	ctx := context.Background()
	for name, do := range map[string]func(){
		"set":   func() { c.Do(ctx, c.B().Set().Key("k").Value("v").Build()) },
		"lua":   func() { nothing.Exec(ctx, c, []string{"k"}, nil) },
		"lua10": func() { ten.Exec(ctx, c, []string{"k"}, nil) },
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
