package main

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// units of a size, longest suffix first, so that "KiB" is not read as "B".
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1}, {"", 1},
}

// parseSize reads a number of bytes: "65536", "64KiB" (1,024) or "64KB" (1,000), up to TiB.
func parseSize(text string) (int64, bool) {
	lower := strings.ToLower(strings.TrimSpace(text))
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(lower, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimRight(digits, " "), 10, 63)
		if err != nil || int64(n) > math.MaxInt64/unit.bytes {
			return 0, false
		}
		return int64(n) * unit.bytes, true
	}
	return 0, false
}

// formatSize writes a number of bytes in the largest binary unit that fits it exactly.
func formatSize(n int64) string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + [...]string{"KiB", "MiB", "GiB", "TiB"}[i]
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// parseDuration reads what time.ParseDuration does, with a number of days before it: "30d", "1d12h", "90m".
func parseDuration(text string) (time.Duration, bool) {
	const day = 24 * time.Hour
	text = strings.TrimSpace(text)
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		return d, err == nil
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || int64(n) > int64(math.MaxInt64/day) {
		return 0, false
	}
	total := time.Duration(n) * day
	if rest == "" {
		return total, true
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > math.MaxInt64-total {
		return 0, false
	}
	return total + d, true
}

// formatDuration writes whole days as "30d" and cuts the zeros that time.Duration leaves: "1h", not "1h0m0s".
func formatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sizeBetween sets a field to a size within limits that the error names.
func sizeBetween(field func(*options) *int, min, max int64) func(*options, string) error {
	return func(o *options, text string) error {
		n, ok := parseSize(text)
		if !ok {
			return fmt.Errorf("is not a size: write bytes, or a unit as in 64KiB or 10MB (from %s to %s)",
				formatSize(min), formatSize(max))
		}
		if n < min || n > max {
			return fmt.Errorf("is out of range: from %s to %s", formatSize(min), formatSize(max))
		}
		*field(o) = int(n)
		return nil
	}
}

// countBetween sets a field to a whole number within limits that the error names.
func countBetween(field func(*options) *int, min, max int) func(*options, string) error {
	return func(o *options, text string) error {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("is not a whole number (from %d to %d)", min, max)
		}
		if n < min || n > max {
			return fmt.Errorf("is out of range: from %d to %d", min, max)
		}
		*field(o) = n
		return nil
	}
}

// durationBetween sets a field to a duration within limits that the error names.
func durationBetween(field func(*options) *time.Duration, min, max time.Duration) func(*options, string) error {
	return func(o *options, text string) error {
		d, ok := parseDuration(text)
		if !ok {
			return fmt.Errorf("is not a duration: write 90s, 15m, 1h or 30d (from %s to %s)",
				formatDuration(min), formatDuration(max))
		}
		if d < min || d > max {
			return fmt.Errorf("is out of range: from %s to %s", formatDuration(min), formatDuration(max))
		}
		*field(o) = d
		return nil
	}
}

// yesOrNo sets a field to a truth value.
func yesOrNo(field func(*options) *bool) func(*options, string) error {
	return func(o *options, text string) error {
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true", "1", "yes", "on":
			*field(o) = true
		case "false", "0", "no", "off":
			*field(o) = false
		default:
			return fmt.Errorf("is neither true nor false")
		}
		return nil
	}
}

// logSpec is what --log says: how much is logged, and in which format.
type logSpec struct {
	level slog.Level
	off   bool
	json  bool
}

func setLog(o *options, text string) error {
	spec := logSpec{}
	level, format, hasFormat := strings.Cut(strings.ToLower(strings.TrimSpace(text)), ",")
	switch level {
	case "debug":
		spec.level = slog.LevelDebug
	case "info":
		spec.level = slog.LevelInfo
	case "warn":
		spec.level = slog.LevelWarn
	case "error":
		spec.level = slog.LevelError
	case "off":
		spec.off = true
	default:
		return fmt.Errorf("names no level: debug, info, warn, error or off, with \",json\" after it for JSON lines")
	}
	switch {
	case !hasFormat || format == "text":
	case format == "json":
		spec.json = true
	default:
		return fmt.Errorf("names no format: text or json, as in %s,json", level)
	}
	o.log = spec
	return nil
}
