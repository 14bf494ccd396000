package redis_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata/redis"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url  string
		want redis.Options
	}{
		{"redis://localhost", redis.Options{Addresses: []string{"localhost:6379"}}},
		{"valkey://10.0.0.1:7000/", redis.Options{Addresses: []string{"10.0.0.1:7000"}}},
		{"redis://[::1]/3", redis.Options{Addresses: []string{"[::1]:6379"}, DB: 3}},
		{"redis://[::1]:7000/3?prefix=chat.", redis.Options{Addresses: []string{"[::1]:7000"}, DB: 3, Prefix: "chat."}},
		{"redis://:pass@h", redis.Options{Addresses: []string{"h:6379"}, Password: "pass"}},
		{"redis://anna:p%40%2F%3F%23%25+@h", redis.Options{Addresses: []string{"h:6379"}, Username: "anna", Password: "p@/?#%+"}},
		{"redis://anna:p@ss:word@h", redis.Options{Addresses: []string{"h:6379"}, Username: "anna", Password: "p@ss:word"}},
		{"redis://a,b:7000,c", redis.Options{Addresses: []string{"a:6379", "b:7000", "c:6379"}, Cluster: true}},
		{"redis://a?cluster=1", redis.Options{Addresses: []string{"a:6379"}, Cluster: true}},
		{"redis://u:p@a,b:7000?sentinel=main&sentinel-username=s&sentinel-password=x%26y",
			redis.Options{Addresses: []string{"a:26379", "b:7000"}, Username: "u", Password: "p", Sentinel: "main", SentinelUsername: "s", SentinelPassword: "x&y"}},
		{"redis://h?shared=1&poll=100ms", redis.Options{Addresses: []string{"h:6379"}, Shared: true, PollEvery: 100 * time.Millisecond}},
		{"redis://h?wait=2&wait-timeout=1s&timeout=3s",
			redis.Options{Addresses: []string{"h:6379"}, Wait: 2, WaitTimeout: time.Second, Timeout: 3 * time.Second}},
	} {
		got, err := redis.ParseURL(tt.url)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseURL(%q) = %+v, %v, want %+v", tt.url, got, err, tt.want)
		}
	}
	for _, url := range []string{"rediss://h", "valkeys://h"} {
		if o, err := redis.ParseURL(url); err != nil || o.TLS == nil {
			t.Errorf("ParseURL(%q) = %+v, %v, want TLS", url, o, err)
		}
	}
}

func TestParseURLSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, want string }{
		{"", "redis://"},
		{"http://h", "redis://"},
		{"redis:h", "redis://"},
		{"redis://", "HOST"},
		{"redis://anna:secret", "HOST"},
		{"redis://a,", "HOST"},
		{"redis://h:99999", "HOST"},
		{"redis://::1", "HOST"},
		{"redis://:sec/ret@h", "%2F"},
		{"redis://:secret%@h", "%25"},
		{"redis://h/zero", "/0"},
		{"redis://h/1?cluster=1", "database 0"},
		{"redis://a,b?shared=1", "cluster"},
		{"redis://a?cluster=1&sentinel=x", "Sentinel"},
		{"redis://h?wait=two", `"two"`},
		{"redis://h?wait=-1", "Wait"},
		{"redis://h?timeout=5", `timeout="5"`},
		{"redis://h?shared=perhaps", "0 or 1"},
		{"redis://h?prefix={", "braces"},
		{"redis://h?wait=1&wait=2", "twice"},
		{"redis://h?pasword=secret", "sentinel-password"},
		{"redis://h?sentinel-password=secret%", "%25"},
		{"redis://h#x", "%23"},
	} {
		_, err := redis.ParseURL(tt.url)
		if err == nil {
			t.Errorf("ParseURL(%q) took it", tt.url)
		} else if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseURL(%q) = %q, want %q in it, and no secret", tt.url, err, tt.want)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"redis://h:1/2?prefix=x":                               "redis://h:1/2?prefix=x",
		"redis://anna:secret@h":                                "redis://***@h",
		"redis://secret@h":                                     "redis://***@h",
		"redis://:sec/ret@secret@h/0":                          "redis://***@h/0",
		"redis:secret@h":                                       "***@h",
		"redis://anna:secret":                                  "redis://***",
		"redis:anna:secret":                                    "***",
		"redis://h?sentinel=m&sentinel-password=secret":        "redis://h?sentinel=m&sentinel-password=***",
		"redis://h?sentinel-password=secret&sentinel=m&wait=1": "redis://h?sentinel-password=***&sentinel=m&wait=1",
	} {
		if got := redis.Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzParseURL: whatever the text is, reading it ends; a password that is put into a URL comes out of it as it was, and
// is neither in its redacted form nor in an error.
func FuzzParseURL(f *testing.F) {
	f.Add("redis://anna:secret@h:1,g/0?wait=1&prefix=x")
	f.Add("redis://:sec@ret/@h?sentinel-password=%zz")
	f.Add("://@,?#")
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "Xq7!Xq7"
		o, err := redis.ParseURL(text)
		if err == nil && len(o.Addresses) == 0 {
			t.Errorf("ParseURL(%q) = %+v, want an address", text, o)
		}
		if strings.Contains(text, secret) {
			return
		}
		for _, url := range []string{"redis://anna:" + secret + "@" + text, "redis://h?" + text + "&sentinel-password=" + secret} {
			if got := redis.Redact(url); strings.Contains(got, secret) {
				t.Errorf("Redact(%q) = %q, the password is in it", url, got)
			}
			if _, err := redis.ParseURL(url); err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("ParseURL(%q) = %q, the password is in it", url, err)
			}
		}
	})
}
