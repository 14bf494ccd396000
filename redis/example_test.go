package redis_test

import (
	"fmt"
	"os"

	"github.com/bachata-go/bachata/redis"
)

// The options of a URL, as Open takes them. What is not in the URL is set in the options.
func ExampleParseURL() {
	o, err := redis.ParseURL("rediss://chat@s1,s2,s3?sentinel=main&prefix=chat.&wait=1", os.Getenv)
	if err != nil {
		fmt.Println(err)
		return
	}
	o.InboxMessages = 1000
	fmt.Println(o.Addresses, o.Sentinel, o.TLS != nil)
	fmt.Println(o.Username, o.Prefix, o.Wait, o.Timeout)

	_, err = redis.ParseURL("redis://anna:s3cret", nil) // whose host is forgotten
	fmt.Println(err)
	// Output:
	// [s1:26379 s2:26379 s3:26379] main true
	// chat chat. 1 5s
	// redis: host 1 of the URL has no port from 1 to 65535 behind its colon: write HOST:PORT, or USER:PASSWORD@HOST:PORT
}

// What is logged of a URL holds no password, also if it is no URL that can be used.
func ExampleRedactURL() {
	fmt.Println(redis.RedactURL("redis://anna:s3cret@10.0.0.5/2?wait=1"))
	fmt.Println(redis.RedactURL("redis://h?sentinel=main&sentinel_password=s3cret"))
	fmt.Println(redis.RedactURL("redis://anna:s3cret"))
	// Output:
	// redis://***@10.0.0.5/2?wait=1
	// redis://h?sentinel=main&sentinel_password=***
	// redis://***
}
