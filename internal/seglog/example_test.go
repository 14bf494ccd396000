package seglog_test

import (
	"context"
	"fmt"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

func Example() {
	o := seglog.Options{FS: vfs.NewMem(), Dir: "/log", SegmentBytes: 64 << 10}
	l, err := seglog.Open(o, func(seglog.Pos, []byte) error { return nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	_, ticket, err := l.Append([]byte("hello"), false)
	if err == nil {
		err = l.Wait(context.Background(), ticket)
	}
	fmt.Println("safe:", err == nil)
	_ = l.Close()

	l, err = seglog.Open(o, func(pos seglog.Pos, rec []byte) error {
		fmt.Printf("%s at %d of segment %d\n", rec, pos.Offset, pos.Segment)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = l.Close()
	// Output:
	// safe: true
	// hello at 96 of segment 1
}
