package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// subprotocol is the plain name that a client offers beside its token, and the only one that is sent back.
	subprotocol = "bachata"
	// bearerProtocol starts the subprotocol that carries a token, for browsers, which can't set a header.
	bearerProtocol = "bearer."

	maxKeyFile     = 64 << 10
	minSecretBytes = 32   // RFC 7518, section 3.2: a key of at least the hash's size
	minRSABits     = 2048 // RFC 7518, section 3.3
)

// errOtherName is for a token that is good, with which another's channel was asked for.
var errOtherName = errors.Join(refusal("the token is for another channel"), bachata.ErrNotAllowed)

// refusal is what the one who connects is told, in the close frame. It never holds a part of a token.
func refusal(format string, args ...any) error {
	return &bachata.Refusal{Code: bachata.RefusedNotAllowed, Reason: fmt.Sprintf(format, args...)}
}

// openChannel takes the channel from the query, and asks for nothing.
func openChannel(r *http.Request) (bachata.Identity, error) {
	name := r.URL.Query().Get("channel")
	if name == "" {
		return bachata.Identity{}, refusal("no channel: connect to /messages?channel=NAME")
	}
	if err := bachata.CheckName("channel", name); err != nil {
		return bachata.Identity{}, refusal("a channel has 1 to %d bytes of UTF-8", bachata.MaxName)
	}
	return bachata.Identity{Channel: name}, nil
}

// isLocalRequest reports whether r names this machine as its host. A page from elsewhere can make a browser resolve
// its own name to 127.0.0.1 (DNS rebinding); its Origin then equals its Host, and only the Host gives it away.
func isLocalRequest(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return isLoopbackHost(strings.Trim(host, "[]"))
}

// tokens checks signed tokens (JWT, RFC 7519) with one key of one algorithm.
type tokens struct {
	key       any
	algorithm string
	parser    *jwt.Parser
}

func newTokens(algorithm string, key any, now func() time.Time) *tokens {
	return &tokens{
		key:       key,
		algorithm: algorithm,
		parser:    jwt.NewParser(jwt.WithValidMethods([]string{algorithm}), jwt.WithTimeFunc(now)),
	}
}

// authenticate finds the token of r and makes its subject the identity. The query may name the same channel.
func (t *tokens) authenticate(r *http.Request) (bachata.Identity, error) {
	text := bearerToken(r)
	if text == "" {
		return bachata.Identity{}, refusal("no token")
	}
	id, err := t.identity(text)
	if err != nil {
		return bachata.Identity{}, err
	}
	if named := r.URL.Query().Get("channel"); named != "" && named != id.Channel {
		return bachata.Identity{}, errOtherName
	}
	return id, nil
}

// identity checks a token. What is wrong with it is said in words of ours: the library's may quote it.
func (t *tokens) identity(text string) (bachata.Identity, error) {
	var claims jwt.RegisteredClaims
	token, err := t.parser.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return t.key, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return bachata.Identity{}, refusal("the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return bachata.Identity{}, refusal("the token is not valid yet")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return bachata.Identity{}, refusal("the token is no JWT")
	case err != nil:
		return bachata.Identity{}, refusal("the token is not signed with %s and the key of this server", t.algorithm)
	}
	// An extension that a token calls critical must be understood (RFC 7515, section 4.1.11); we understand none.
	if _, critical := token.Header["crit"]; critical {
		return bachata.Identity{}, refusal("the token asks for an extension (\"crit\")")
	}
	if bachata.CheckName("sub", claims.Subject) != nil {
		return bachata.Identity{}, refusal("the token's \"sub\" is no name of 1 to %d bytes", bachata.MaxName)
	}
	id := bachata.Identity{User: claims.Subject, Channel: claims.Subject}
	if claims.ExpiresAt != nil {
		id.Expires = claims.ExpiresAt.Time
	}
	return id, nil
}

// bearerToken finds the token in the Authorization header, else among the subprotocols.
func bearerToken(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(name), bearerProtocol); ok {
				return token
			}
		}
	}
	return ""
}

// loadTokens reads the key that the options name; nil if they name none.
func loadTokens(o *options) (*tokens, error) {
	switch {
	case o.jwtSecretFile != "":
		key, err := readKey(o.jwtSecretFile, parseSecret)
		if err != nil {
			return nil, &optionError{o.sources["jwt-secret-file"], o.jwtSecretFile, err}
		}
		return newTokens("HS256", key, time.Now), nil
	case o.jwtPublicKeyFile != "":
		key, err := readKey(o.jwtPublicKeyFile, parsePublicKey)
		if err != nil {
			return nil, &optionError{o.sources["jwt-public-key-file"], o.jwtPublicKeyFile, err}
		}
		if _, ok := key.(ed25519.PublicKey); ok {
			return newTokens("EdDSA", key, time.Now), nil
		}
		return newTokens("RS256", key, time.Now), nil
	}
	return nil, nil
}

func readKey[K any](path string, parse func([]byte) (K, error)) (key K, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, fmt.Errorf("can't be opened: %w", withoutPath(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return key, fmt.Errorf("can't be read: %w", withoutPath(err))
	}
	if len(text) > maxKeyFile {
		return key, fmt.Errorf("is larger than a key: the limit is %s", formatSize(maxKeyFile))
	}
	return parse(text)
}

// withoutPath leaves the path off an error that is said behind it.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func parseSecret(text []byte) ([]byte, error) {
	if block, _ := pem.Decode(text); block != nil {
		// Anybody knows a public key: as a secret it would let anybody sign.
		return nil, fmt.Errorf("holds a PEM block (%s): a secret is just bytes; a public key goes with --jwt-public-key-file", block.Type)
	}
	secret := bytes.TrimRight(text, "\r\n")
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("holds %d bytes: HS256 needs at least %d", len(secret), minSecretBytes)
	}
	return secret, nil
}

func parsePublicKey(text []byte) (any, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds no PEM block: it should begin with -----BEGIN PUBLIC KEY-----")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	default:
		return nil, fmt.Errorf("holds a %q: the server wants the public key only", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("holds a %q that can't be read: %w", block.Type, err)
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("holds an RSA key of %d bits: at least %d are needed", k.N.BitLen(), minRSABits)
		}
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		return nil, errors.New("holds an ECDSA key: RSA (RS256) and Ed25519 (EdDSA) are supported")
	default:
		return nil, fmt.Errorf("holds a key of another kind (%T): RSA (RS256) and Ed25519 (EdDSA) are supported", key)
	}
	return key, nil
}
