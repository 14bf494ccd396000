package transcript

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

var generated = regexp.MustCompile(`\$fill\((\d+)(?:,([^)]*))?\)|\$hex\(([0-9a-fA-F ]*)\)`)

// maxFill bounds what $fill makes, in bytes.
const maxFill = 64 << 20

// Expand returns text with what it asks to be generated: $fill(N) is N bytes of "x", $fill(N,TEXT) is TEXT N times,
// $hex(FF 00) is those bytes.
func Expand(text string) (string, error) {
	var problem error
	out := generated.ReplaceAllStringFunc(text, func(match string) string {
		part := generated.FindStringSubmatch(match)
		if part[1] == "" {
			b, err := hex.DecodeString(strings.ReplaceAll(part[3], " ", ""))
			if err != nil {
				problem = fmt.Errorf("read %s: %w", match, err)
			}
			return string(b)
		}
		unit := part[2]
		if unit == "" {
			unit = "x"
		}
		n, err := strconv.Atoi(part[1])
		if err != nil || n*len(unit) > maxFill {
			problem = fmt.Errorf("read %s: the limit is %d bytes", match, maxFill)
			return ""
		}
		return strings.Repeat(unit, n)
	})
	return out, problem
}

// Match says how got differs from want, both JSON. The order of keys does not count, the spelling of numbers does. In
// want, "$any" stands for any value, "$text" for a string that is not empty, "$ms" for an integer above zero and "$int"
// for one that is not negative. A key that comes twice in got is a difference.
func Match(want, got string) error {
	w, err := parse(want)
	if err != nil {
		return fmt.Errorf("the transcript's own frame is no JSON: %w", err)
	}
	g, err := parse(got)
	if err != nil {
		return fmt.Errorf("what came is no JSON: %w", err)
	}
	return differ("", w, g)
}

func differ(path string, want, got any) error {
	at := path
	if at == "" {
		at = "the frame"
	}
	switch w := want.(type) {
	case string:
		if ok, placeholder := fits(w, got); placeholder {
			if ok {
				return nil
			}
			return fmt.Errorf("%s is %v, want %s", at, spell(got), w)
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, want an object", at, spell(got))
		}
		return differObject(path, w, g)
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s is %v, want %v", at, spell(got), spell(want))
		}
		for i := range w {
			if err := differ(fmt.Sprintf("%s[%d]", path, i), w[i], g[i]); err != nil {
				return err
			}
		}
		return nil
	}
	// What is left is comparable, unless got is an object or an array.
	switch got.(type) {
	case map[string]any, []any:
	default:
		if want == got {
			return nil
		}
	}
	return fmt.Errorf("%s is %v, want %v", at, spell(got), spell(want))
}

func differObject(path string, want, got map[string]any) error {
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			return fmt.Errorf("%s.%s is missing", path, key)
		}
		if err := differ(path+"."+key, w, g); err != nil {
			return err
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("%s.%s is not expected", path, key)
		}
	}
	return nil
}

// fits reports whether got is what the placeholder w stands for, and whether w is one.
func fits(w string, got any) (ok, placeholder bool) {
	switch w {
	case "$any":
		return true, true
	case "$text":
		s, is := got.(string)
		return is && s != "", true
	case "$ms", "$int":
		number, is := got.(json.Number)
		n, err := strconv.ParseInt(string(number), 10, 64)
		return is && err == nil && (n > 0 || n == 0 && w == "$int"), true
	}
	return false, false
}

func spell(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v)
	}
	return shorten(string(b))
}

// parse reads JSON with numbers as they are spelled; a key that comes twice is an error.
func parse(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := value(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

func value(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			if _, twice := object[name]; twice {
				return nil, fmt.Errorf("key %q comes twice", name)
			}
			if object[name], err = value(d); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return object, err
	case json.Delim('['):
		array := []any{}
		for d.More() {
			v, err := value(d)
			if err != nil {
				return nil, err
			}
			array = append(array, v)
		}
		_, err = d.Token()
		return array, err
	}
	return token, nil
}

// matchExact says where got departs from want, byte for byte.
func matchExact(want, got string) error {
	if want == got {
		return nil
	}
	w, g := []byte(want), []byte(got)
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	return fmt.Errorf("the bytes differ from byte %d on: got %q, want %q", i, around(g, i), around(w, i))
}

func around(b []byte, i int) []byte {
	return bytes.Clone(b[max(0, i-20):min(len(b), i+60)])
}
