package main

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseOptionsDefaults(t *testing.T) {
	t.Parallel()
	o, err := parseOptions(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.sources = nil
	want := options{
		listen:        "127.0.0.1:8000",
		queue:         queueSpec{"disk", "bachata-data"},
		dedupe:        time.Hour,
		inboxMessages: 10_000, inboxBytes: 64 << 20, inboxAge: 30 * 24 * time.Hour,
		maxMessage: 64 << 10, windowMessages: 1000, windowBytes: 4 << 20,
		log: logSpec{level: slog.LevelInfo},
	}
	if !equalOptions(o, want) {
		t.Errorf("parseOptions() = %+v, want %+v", o, want)
	}
}

func equalOptions(a, b options) bool {
	same := slices.Equal(a.ignored, b.ignored)
	a.ignored, b.ignored, a.sources, b.sources = nil, nil, nil, nil
	return same && a.comparable() == b.comparable()
}

// comparable returns the options without what can't be compared.
func (o options) comparable() any {
	type plain struct {
		listen, secret, key string
		open                openChannelsMode
		anyone, simple      bool
		compress, portable  bool
		queue               queueSpec
		dedupe, age         time.Duration
		numbers             [5]int
		redis               [4]string
		log                 logSpec
	}
	return plain{o.listen, o.jwtSecretFile, o.jwtPublicKeyFile, o.openChannels, o.allowAnyone, o.simple, o.compress, o.portable, o.queue, o.dedupe,
		o.inboxAge, [5]int{o.inboxMessages, o.inboxBytes, o.maxMessage, o.windowMessages, o.windowBytes},
		[4]string{o.redisPassword, o.redisPasswordFile, o.sentinelPassword, o.sentinelPasswordFile}, o.log}
}

func TestParseOptionsFromFlagsAndVariables(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want func(*options)
	}{
		{"a flag with a space", []string{"--listen", "[::1]:80"}, nil, func(o *options) { o.listen = "[::1]:80" }},
		{"a flag with =", []string{"--listen=localhost:0"}, nil, func(o *options) { o.listen = "localhost:0" }},
		{"one dash", []string{"-simple"}, nil, func(o *options) { o.simple = true }},
		{"a boolean taken back", []string{"--simple=no"}, []string{"BACHATA_SIMPLE=1"}, func(o *options) {}},
		{"a boolean variable", nil, []string{"BACHATA_SIMPLE=yes"}, func(o *options) { o.simple = true }},
		{"compression", []string{"--compress"}, nil, func(o *options) { o.compress = true }},
		{"the portable driver", []string{"--portable"}, nil, func(o *options) { o.portable = true }},
		{"a variable", nil, []string{"BACHATA_MAX_MESSAGE=5MiB"}, func(o *options) { o.maxMessage = 5 << 20 }},
		{"the flag wins", []string{"--max-message", "1MiB"}, []string{"BACHATA_MAX_MESSAGE=5MiB"}, func(o *options) { o.maxMessage = 1 << 20 }},
		{"the flag wins over a bad variable", []string{"--dedupe", "2m"}, []string{"BACHATA_DEDUPE=never"}, func(o *options) { o.dedupe = 2 * time.Minute }},
		{"an empty variable counts as not set", nil, []string{"BACHATA_LISTEN="}, func(o *options) {}},
		{"decimal units", []string{"--inbox-bytes", "10MB"}, nil, func(o *options) { o.inboxBytes = 10_000_000 }},
		{"days", []string{"--inbox-age", "1d12h"}, nil, func(o *options) { o.inboxAge = 36 * time.Hour }},
		{"memory", []string{"--queue", "memory:"}, nil, func(o *options) { o.queue = queueSpec{kind: "memory"} }},
		{"a folder with a colon", []string{"--queue", "disk:C:/data"}, nil, func(o *options) { o.queue = queueSpec{"disk", "C:/data"} }},
		{"Redis", []string{"--queue", "redis://:pass@h:1?prefix=x"}, nil, func(o *options) { o.queue = queueSpec{"redis", "redis://:pass@h:1?prefix=x"} }},
		{"a cluster", []string{"--queue", "valkeys://[fe80::a],b,c:7000"}, nil, func(o *options) { o.queue = queueSpec{"redis", "valkeys://[fe80::a],b,c:7000"} }},
		{"a password by a variable", []string{"--queue", "redis://h"}, []string{"BACHATA_REDIS_PASSWORD=p"},
			func(o *options) { o.queue, o.redisPassword = queueSpec{"redis", "redis://h"}, "p" }},
		{"a password of the environment that is not needed", nil, []string{"BACHATA_REDIS_PASSWORD=p"}, func(o *options) { o.redisPassword = "p" }},
		{"a password in a file", []string{"--queue", "redis://h", "--redis-password-file", "f"}, nil,
			func(o *options) { o.queue, o.redisPasswordFile = queueSpec{"redis", "redis://h"}, "f" }},
		{"passwords of Sentinels", []string{"--queue", "redis://h?sentinel=m", "--redis-sentinel-password-file", "f"}, []string{"BACHATA_REDIS_PASSWORD=p"},
			func(o *options) {
				o.queue, o.redisPassword, o.sentinelPasswordFile = queueSpec{"redis", "redis://h?sentinel=m"}, "p", "f"
			}},
		{"JSON log", []string{"--log", "warn,json"}, nil, func(o *options) { o.log = logSpec{level: slog.LevelWarn, json: true} }},
		{"no log", []string{"--log", "off"}, nil, func(o *options) { o.log = logSpec{off: true} }},
		{"others may come in with tokens", []string{"--listen", "0.0.0.0:80", "--jwt-secret-file", "s"}, nil,
			func(o *options) { o.listen, o.jwtSecretFile = "0.0.0.0:80", "s" }},
		{"pages of others with tokens", []string{"--origins", "https://app.example, http://[::1]:3000"}, []string{"BACHATA_JWT_SECRET_FILE=s"},
			func(o *options) {
				o.origins, o.jwtSecretFile = []string{"https://app.example", "http://[::1]:3000"}, "s"
			}},
		{"all pages with tokens", []string{"--origins", "*", "--jwt-secret-file", "s"}, nil,
			func(o *options) { o.origins, o.jwtSecretFile = []string{"*"}, "s" }},
		{"others may come in by the flag that names the danger", []string{"--listen", ":80", "--allow-anyone-to-read-any-channel"}, nil,
			func(o *options) { o.listen, o.allowAnyone = ":80", true }},
		{"variables that name nothing are found", nil, []string{"BACHATA_LISTN=x", "BACHATA_PORT=tcp://10.0.0.1", "BACHATA_SERVICE_HOST=10.0.0.1", "HOME=/"},
			func(o *options) { o.ignored = []string{"BACHATA_LISTN"} }},
		{"an option is none of what Kubernetes sets", nil, []string{"BACHATA_PORTABLE=true", "BACHATA_PORT_8000_TCP=tcp://10.0.0.1:8000"},
			func(o *options) { o.portable = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseOptions(tt.args, tt.env)
			if err != nil {
				t.Fatal(err)
			}
			want, err := parseOptions(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			tt.want(&want)
			if !equalOptions(got, want) {
				t.Errorf("parseOptions(%q, %q) = %+v, want %+v", tt.args, tt.env, got, want)
			}
		})
	}
}

func TestParseOptionsNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want []string // parts of the error
	}{
		{"size", []string{"--max-message", "12 bananas"}, nil, []string{"--max-message", `"12 bananas"`, "1KiB", "16MiB"}},
		{"size of a variable", nil, []string{"BACHATA_MAX_MESSAGE=1GiB"}, []string{"BACHATA_MAX_MESSAGE", `"1GiB"`, "16MiB"}},
		{"size that overflows", []string{"--inbox-bytes", "9223372036854775807TiB"}, nil, []string{"--inbox-bytes", "1TiB"}},
		{"negative size", []string{"--window-bytes=-1"}, nil, []string{"--window-bytes", `"-1"`}},
		{"number", []string{"--inbox-messages", "0"}, nil, []string{"--inbox-messages", `"0"`, "from 1 to 100000000"}},
		{"number with a unit", []string{"--window-messages", "1k"}, nil, []string{"--window-messages", `"1k"`, "1000000"}},
		{"duration", []string{"--dedupe", "1 fortnight"}, nil, []string{"--dedupe", `"1 fortnight"`, "2m", "7d"}},
		{"short duration", nil, []string{"BACHATA_DEDUPE=1s"}, []string{"BACHATA_DEDUPE", `"1s"`, "2m", "7d"}},
		{"long duration", []string{"--inbox-age", "99999d"}, nil, []string{"--inbox-age", "3650d"}},
		{"duration without a unit", []string{"--inbox-age", "30"}, nil, []string{"--inbox-age", "30d"}},
		{"address", []string{"--listen", "localhost"}, nil, []string{"--listen", `"localhost"`, "127.0.0.1:8000"}},
		{"port", []string{"--listen", "localhost:99999"}, nil, []string{"--listen", "65535"}},
		{"queue", []string{"--queue", "kafka://x"}, nil, []string{"--queue", `"kafka://x"`, "disk:DIR", "redis://HOST:PORT"}},
		{"a folder alone", []string{"--queue", "/var/lib/bachata"}, nil, []string{"--queue", `"/var/lib/bachata"`, "disk:/var/lib/bachata"}},
		{"a folder with a password", []string{"--queue", "//anna:horse@h"}, nil, []string{"--queue", "disk:DIR"}},
		{"Redis without slashes", []string{"--queue", "redis:h"}, nil, []string{"--queue", "redis://HOST:PORT"}},
		{"Redis with an unknown option", []string{"--queue", "redis://:horse@h?wait=1&wat=2"}, nil, []string{"--queue", "redis://***@h?wait=1&***", "option 2", "wait_timeout"}},
		{"Redis with a bad database", nil, []string{"BACHATA_QUEUE=redis://:horse@h/one"}, []string{"BACHATA_QUEUE", "redis://***@h/***", "database"}},
		{"a password whose host is forgotten", []string{"--queue", "redis://anna:horse"}, nil, []string{"--queue", `"redis://***"`, "USER:PASSWORD@HOST"}},
		{"a password with a slash", []string{"--queue", "redis://anna:sec/horse@h/x"}, nil, []string{"--queue", `"redis://***@h/***"`}},
		{"a password in a mistyped URL", []string{"--queue", "redi://anna:horse@h"}, nil, []string{"--queue", `"redi://***@h"`}},
		{"a password without a Redis", []string{"--redis-password-file", "f"}, nil, []string{"--redis-password-file", "disk:bachata-data", "redis://"}},
		{"two passwords", []string{"--queue", "redis://h", "--redis-password-file", "f"}, []string{"BACHATA_REDIS_PASSWORD=horse"},
			[]string{"BACHATA_REDIS_PASSWORD", "--redis-password-file", "once"}},
		{"a second password", []string{"--queue", "redis://:horse@h", "--redis-password-file", "f"}, nil, []string{"--redis-password-file", "--queue", "once"}},
		{"a password with a question mark", []string{"--queue", "redis://anna:ho?horse@h"}, nil, []string{`"redis://***"`, "%3F"}},
		{"a password in the query", []string{"--queue", "redis://h?password=horse"}, nil, []string{`"redis://h?***"`, "password_file"}},
		{"the Sentinels' password in the query", []string{"--queue", "redis://h?sentinel=m&sentinel_password=horse&wait=x"}, nil,
			[]string{`"redis://h?sentinel=m&sentinel_password=***&wait=x"`, "option wait"}},
		{"the Sentinels' password without any", []string{"--queue", "redis://h", "--redis-sentinel-password-file", "f"}, nil,
			[]string{"--redis-sentinel-password-file", "sentinel=NAME"}},
		{"two passwords of the Sentinels", []string{"--queue", "redis://h?sentinel=m", "--redis-sentinel-password-file", "f"},
			[]string{"BACHATA_REDIS_SENTINEL_PASSWORD=horse"}, []string{"BACHATA_REDIS_SENTINEL_PASSWORD", "--redis-sentinel-password-file", "once"}},
		{"shared on a cluster", []string{"--queue", "redis://a,b?shared=1"}, nil, []string{"--queue", "shared=1", "one host"}},
		{"a password on the command line", []string{"--redis-password", "horse"}, nil, []string{"--redis-password", "BACHATA_REDIS_PASSWORD"}},
		{"queue without a folder", []string{"--queue", "disk:"}, nil, []string{"--queue", "disk:DIR"}},
		{"truth", nil, []string{"BACHATA_SIMPLE=perhaps"}, []string{"BACHATA_SIMPLE", `"perhaps"`}},
		{"log level", []string{"--log", "loud"}, nil, []string{"--log", `"loud"`, "debug"}},
		{"log format", []string{"--log", "info,xml"}, nil, []string{"--log", `"info,xml"`, "json"}},
		{"unknown option", []string{"--max-mesage", "1KiB"}, nil, []string{`"--max-mesage"`, "did you mean --max-message?"}},
		{"no value", []string{"--listen"}, nil, []string{"--listen", "needs a value"}},
		{"twice", []string{"--simple", "--simple"}, nil, []string{"--simple", "twice"}},
		{"no option", []string{"now"}, nil, []string{`"now"`}},
		{"others could read", []string{"--listen", "0.0.0.0:8000"}, nil, []string{"--listen", "0.0.0.0:8000", "--allow-anyone-to-read-any-channel"}},
		{"others could read, all addresses", nil, []string{"BACHATA_LISTEN=:8000"}, []string{"BACHATA_LISTEN", "--jwt-secret-file"}},
		{"others could read, though asked for", []string{"--listen", "10.0.0.1:8000", "--open-channels"}, nil, []string{"--allow-anyone-to-read-any-channel"}},
		{"two keys", []string{"--jwt-secret-file", "a", "--jwt-public-key-file", "b"}, nil, []string{"--jwt-secret-file", "--jwt-public-key-file"}},
		{"a key and open channels", []string{"--jwt-secret-file", "a", "--open-channels"}, nil, []string{"--open-channels"}},
		{"a key and anyone", []string{"--jwt-secret-file", "a"}, []string{"BACHATA_ALLOW_ANYONE_TO_READ_ANY_CHANNEL=1"}, []string{"BACHATA_ALLOW_ANYONE"}},
		{"an origin without a scheme", []string{"--origins", "app.example", "--jwt-secret-file", "s"}, nil, []string{"--origins", `"app.example"`, "https://app.example"}},
		{"an origin with a path", nil, []string{"BACHATA_ORIGINS=https://app.example/"}, []string{"BACHATA_ORIGINS", "https://app.example,"}},
		{"no origin behind a comma", []string{"--origins", "https://app.example,", "--jwt-secret-file", "s"}, nil, []string{"--origins"}},
		{"a pattern of origins", []string{"--origins", "https://*.app.example", "--jwt-secret-file", "s"}, nil, []string{"--origins", "nor *"}},
		{"pages of others without tokens", []string{"--origins", "https://app.example"}, nil, []string{"--origins", "any name", "--jwt-secret-file"}},
		{"nobody", []string{"--open-channels=false"}, nil, []string{"--open-channels", "nobody"}},
		{"messages larger than inboxes", []string{"--inbox-bytes", "10KiB"}, nil, []string{"--inbox-bytes", "10KiB", "64KiB"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseOptions(tt.args, tt.env)
			if err == nil {
				t.Fatalf("parseOptions(%q, %q) took it", tt.args, tt.env)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("parseOptions(%q, %q) = %q, want %q in it", tt.args, tt.env, err, part)
				}
			}
			if strings.Contains(err.Error(), "horse") {
				t.Errorf("parseOptions(%q, %q) = %q, which holds the password", tt.args, tt.env, err)
			}
		})
	}
}

func TestSizesAndDurationsReadWhatTheyWrite(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1, 1023, 1024, 1536, 1 << 20, 10_000_000, 1 << 40} {
		if got, ok := parseSize(formatSize(n)); !ok || got != n {
			t.Errorf("parseSize(%q) = %d, %v, want %d", formatSize(n), got, ok, n)
		}
	}
	for text, want := range map[string]time.Duration{"1m": time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "1.5s": 1500 * time.Millisecond} {
		if got := formatDuration(want); got != text {
			t.Errorf("formatDuration(%d) = %q, want %q", want, got, text)
		}
		if got, ok := parseDuration(text); !ok || got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
}

func TestHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if code := run(t.Context(), []string{"serve", "--help"}, nil, &out, &out); code != exitOK {
		t.Errorf("exit code %d, want %d", code, exitOK)
	}
	for _, s := range serveSections() {
		for _, p := range s.options {
			if !strings.Contains(out.String(), "  "+p.source()) || !strings.Contains(out.String(), p.def) {
				t.Errorf("help does not name --%s and its default %q", p.name, p.def)
			}
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > helpWidth+1 {
			t.Errorf("help has a line of %d bytes: %q", len(line), line)
		}
	}
}

// FuzzOptions feeds the command line and the environment: whatever comes, parsing ends with options within their limits,
// or with an error that names the option or variable in question.
func FuzzOptions(f *testing.F) {
	f.Add("--listen\n127.0.0.1:0\n--queue=memory:", "BACHATA_SIMPLE=true")
	f.Add("--inbox-age\n1d2h", "BACHATA_DEDUPE=\xff\nBACHATA_=1")
	f.Add("--max-message=9999999999999999999999KiB\n-\n--", "")
	f.Add("--queue=redis://anna:x@h/1?wait=2", "BACHATA_REDIS_PASSWORD=x")
	f.Add("--open-channels=false\n--jwt-secret-file=x", "BACHATA_LOG=debug,json")
	f.Fuzz(func(t *testing.T, args, environ string) {
		o, err := parseOptions(strings.Split(args, "\n"), strings.Split(environ, "\n"))
		var bad *optionError
		switch {
		case errors.Is(err, errHelp):
		case errors.As(err, &bad):
			name, isFlag := strings.CutPrefix(bad.source, "--")
			if isFlag && !strings.Contains(args, name) || !isFlag && !strings.Contains(environ, bad.source) {
				t.Errorf("error names %q, which was not given: %v", bad.source, err)
			}
		case err != nil:
			if len(err.Error()) == 0 {
				t.Error("error without a text")
			}
		case o.maxMessage < 1<<10 || o.maxMessage > 16<<20 || o.windowBytes < 1<<10 || o.inboxBytes < o.maxMessage,
			o.windowMessages < 1 || o.inboxMessages < 1,
			o.dedupe < 2*time.Minute || o.dedupe > 7*24*time.Hour || o.inboxAge < time.Minute:
			t.Errorf("options out of their limits: %+v", o)
		case !isLoopback(o.listen) && !o.allowAnyone && o.jwtSecretFile == "" && o.jwtPublicKeyFile == "":
			t.Errorf("open channels on %q", o.listen)
		}
	})
}

func TestEveryOptionIsReadFromItsVariable(t *testing.T) {
	t.Parallel()
	for _, section := range serveSections() {
		for _, p := range section.options {
			if _, ok := variables([]string{p.env() + "=x"})[p.env()]; !ok {
				t.Errorf("%s is not read", p.env())
			}
		}
	}
}
