package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// urlOptions is what the options of a URL are read into.
type urlOptions struct {
	*Options
	ca, cert, key, serverName string
	passwordFile              string
	sentinelPasswordFile      string
}

// urlOption is one of the options that a URL may have behind its ?.
type urlOption struct {
	name   string
	secret bool // its value is shown to nobody
	set    func(u *urlOptions, value string) error
}

// knownOptions lists them by name.
func knownOptions() []urlOption {
	return []urlOption{
		{name: "ca", set: setText(func(u *urlOptions) *string { return &u.ca })},
		{name: "cert", set: setText(func(u *urlOptions) *string { return &u.cert })},
		{name: "cluster", set: setBool(func(u *urlOptions) *bool { return &u.Cluster })},
		{name: "key", set: setText(func(u *urlOptions) *string { return &u.key })},
		{name: "password_file", set: setText(func(u *urlOptions) *string { return &u.passwordFile })},
		{name: "poll", set: setDuration(func(u *urlOptions) *time.Duration { return &u.PollEvery })},
		{name: "prefix", set: setText(func(u *urlOptions) *string { return &u.Prefix })},
		{name: "sentinel", set: setText(func(u *urlOptions) *string { return &u.Sentinel })},
		{name: "sentinel_password", secret: true, set: setText(func(u *urlOptions) *string { return &u.SentinelPassword })},
		{name: "sentinel_password_file", set: setText(func(u *urlOptions) *string { return &u.sentinelPasswordFile })},
		{name: "sentinel_user", set: setText(func(u *urlOptions) *string { return &u.SentinelUsername })},
		{name: "server_name", set: setText(func(u *urlOptions) *string { return &u.serverName })},
		{name: "shared", set: setBool(func(u *urlOptions) *bool { return &u.Shared })},
		{name: "simple", set: setBool(func(u *urlOptions) *bool { return &u.Simple })},
		{name: "timeout", set: setDuration(func(u *urlOptions) *time.Duration { return &u.Timeout })},
		{name: "wait", set: setWait},
		{name: "wait_timeout", set: setDuration(func(u *urlOptions) *time.Duration { return &u.WaitTimeout })},
	}
}

func findOption(name string) *urlOption {
	for _, o := range knownOptions() {
		if o.name == name {
			return &o
		}
	}
	return nil
}

// setAll reads a query. What it does not know is named by its place only: it may be the rest of a password with a ?.
func (u *urlOptions) setAll(query string) error {
	given := make(map[string]bool)
	p := urlParts{query: query}
	for i, part := range p.options() {
		name, text, _ := strings.Cut(part, "=")
		option := findOption(name)
		if option == nil {
			var names []string
			for _, o := range knownOptions() {
				names = append(names, o.name)
			}
			return fmt.Errorf("redis: option %d behind the ? of the URL is unknown; known are %s", i+1, strings.Join(names, ", "))
		}
		if given[name] {
			return fmt.Errorf("redis: option %s is given twice", name)
		}
		given[name] = true
		value, err := url.PathUnescape(text)
		if err != nil {
			return fmt.Errorf("redis: option %s has a %% that begins no escape, write it as %%25", name)
		}
		if err := option.set(u, value); err != nil {
			return fmt.Errorf("redis: option %s %w", name, err)
		}
	}
	if err := u.readPasswords(); err != nil {
		return err
	}
	return u.readCertificates()
}

func setText(field func(*urlOptions) *string) func(*urlOptions, string) error {
	return func(u *urlOptions, value string) error {
		if value == "" {
			return errors.New("is empty")
		}
		*field(u) = value
		return nil
	}
}

func setBool(field func(*urlOptions) *bool) func(*urlOptions, string) error {
	return func(u *urlOptions, value string) error {
		switch value {
		case "1", "true", "":
			*field(u) = true
		case "0", "false":
			*field(u) = false
		default:
			return fmt.Errorf("is %q, must be 1 or 0", value)
		}
		return nil
	}
}

func setDuration(field func(*urlOptions) *time.Duration) func(*urlOptions, string) error {
	return func(u *urlOptions, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < time.Millisecond {
			return fmt.Errorf("is %q, must be a time such as 2s, 1ms at least", value)
		}
		*field(u) = d
		return nil
	}
}

func setWait(u *urlOptions, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return fmt.Errorf("is %q, must be a number of replicas", value)
	}
	u.Wait = n
	return nil
}

// readPasswords reads the files of the passwords.
func (u *urlOptions) readPasswords() error {
	if u.Sentinel == "" && (u.SentinelUsername != "" || u.SentinelPassword != "" || u.sentinelPasswordFile != "") {
		return errors.New("redis: sentinel_user and sentinel_password need sentinel=NAME")
	}
	for _, f := range []struct {
		option, file string
		password     *string
	}{
		{"password_file", u.passwordFile, &u.Password},
		{"sentinel_password_file", u.sentinelPasswordFile, &u.SentinelPassword},
	} {
		if f.file == "" {
			continue
		}
		if *f.password != "" {
			return fmt.Errorf("redis: option %s: the URL has that password already, give it once", f.option)
		}
		var err error
		if *f.password, err = readSecret(f.file); err != nil {
			return fmt.Errorf("redis: option %s: %w", f.option, err)
		}
	}
	return nil
}

// readCertificates reads whom to trust, and what to show.
func (u *urlOptions) readCertificates() error {
	switch {
	case u.ca == "" && u.cert == "" && u.key == "" && u.serverName == "":
		return nil
	case u.TLS == nil:
		return errors.New("redis: ca, cert, key and server_name need rediss://")
	case u.key != "" && u.cert == "":
		return errors.New("redis: key needs cert=FILE, the certificate that it belongs to")
	}
	u.TLS.ServerName = u.serverName
	if u.ca != "" {
		pem, err := os.ReadFile(u.ca)
		if err != nil {
			return fmt.Errorf("redis: option ca: %w", err)
		}
		u.TLS.RootCAs = x509.NewCertPool()
		if !u.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("redis: option ca: %s has no certificate in PEM", u.ca)
		}
	}
	if u.cert != "" {
		key := u.key
		if key == "" {
			key = u.cert
		}
		pair, err := tls.LoadX509KeyPair(u.cert, key)
		if err != nil {
			return fmt.Errorf("redis: options cert and key: %w", err)
		}
		u.TLS.Certificates = []tls.Certificate{pair}
	}
	return nil
}
