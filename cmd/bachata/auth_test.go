package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/golang-jwt/jwt/v5"
)

var secret = []byte("thirty-two bytes, and a few more of them")

// now is when the tokens of the tests are looked at.
func now() time.Time { return time.Unix(1_700_000_000, 0) }

func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pemFile writes a public key as a PEM block and returns the file's path and bytes.
func pemFile(t *testing.T, key any) (string, []byte) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return keyFile(t, text), text
}

func keyFile(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokens(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	otherRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, rsaPEM := pemFile(t, &rsaKey.PublicKey)
	anna := jwt.MapClaims{"sub": "anna", "exp": now().Add(time.Hour).Unix()}
	with := func(name string, value any) jwt.MapClaims {
		c := jwt.MapClaims{"sub": "anna", "exp": now().Add(time.Hour).Unix()}
		c[name] = value
		return c
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, anna)
	critical.Header["crit"] = []string{"b64"}
	criticalText, err := critical.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	good := signed(t, jwt.SigningMethodHS256, secret, anna)
	tokensHS := newTokens("HS256", secret, now)
	tokensRS := newTokens("RS256", &rsaKey.PublicKey, now)
	tokensEd := newTokens("EdDSA", edPublic, now)

	for _, tt := range []struct {
		name   string
		tokens *tokens
		token  string
		reason string // empty: let in
	}{
		{"HS256", tokensHS, good, ""},
		{"RS256", tokensRS, signed(t, jwt.SigningMethodRS256, rsaKey, anna), ""},
		{"EdDSA", tokensEd, signed(t, jwt.SigningMethodEdDSA, edKey, anna), ""},
		{"none", tokensHS, signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, anna), "not signed"},
		{"none for a public key", tokensRS, signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, anna), "not signed"},
		{"the public key as a secret", tokensRS, signed(t, jwt.SigningMethodHS256, rsaPEM, anna), "not signed"},
		{"the public key's DER as a secret", tokensEd, signed(t, jwt.SigningMethodHS256, []byte(edPublic), anna), "not signed"},
		{"HS512 with the right secret", tokensHS, signed(t, jwt.SigningMethodHS512, secret, anna), "not signed"},
		{"RS512 with the right key", tokensRS, signed(t, jwt.SigningMethodRS512, rsaKey, anna), "not signed"},
		{"PS256 with the right key", tokensRS, signed(t, jwt.SigningMethodPS256, rsaKey, anna), "not signed"},
		{"another secret", tokensHS, signed(t, jwt.SigningMethodHS256, []byte("another"), anna), "not signed"},
		{"another RSA key", tokensRS, signed(t, jwt.SigningMethodRS256, otherRSA, anna), "not signed"},
		{"another kind of key", tokensEd, signed(t, jwt.SigningMethodRS256, rsaKey, anna), "not signed"},
		{"signature cut off", tokensHS, good[:strings.LastIndex(good, ".")+1], "not signed"},
		{"signature changed", tokensHS, good[:len(good)-4] + "AAAA", "not signed"},
		{"claims changed", tokensHS, replaceClaims(good, `{"sub":"bob"}`), "not signed"},
		{"expired", tokensHS, signed(t, jwt.SigningMethodHS256, secret, with("exp", now().Add(-time.Second).Unix())), "expired"},
		{"not yet valid", tokensHS, signed(t, jwt.SigningMethodHS256, secret, with("nbf", now().Add(time.Minute).Unix())), "not valid yet"},
		{"exp that is no number", tokensHS, signed(t, jwt.SigningMethodHS256, secret, with("exp", "tomorrow")), "no JWT"},
		{"no sub", tokensHS, signed(t, jwt.SigningMethodHS256, secret, jwt.MapClaims{}), "sub"},
		{"sub that is no string", tokensHS, signed(t, jwt.SigningMethodHS256, secret, with("sub", 7)), "no JWT"},
		{"long sub", tokensHS, signed(t, jwt.SigningMethodHS256, secret, with("sub", strings.Repeat("x", 256))), "sub"},
		{"crit", tokensHS, criticalText, "crit"},
		{"no token", tokensHS, "", "no token"},
		{"no JWT", tokensHS, "a.b", "no JWT"},
		{"JWT of nonsense", tokensHS, "!.!.!", "no JWT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/messages", nil)
			if tt.token != "" {
				r.Header.Set("Authorization", "Bearer "+tt.token)
			}
			id, err := tt.tokens.authenticate(r)
			if tt.reason == "" {
				want := bachata.Identity{User: "anna", Channel: "anna", Expires: now().Add(time.Hour)}
				if err != nil || id != want {
					t.Errorf("authenticate = %+v, %v, want %+v", id, err, want)
				}
				return
			}
			refused, ok := errors.AsType[*bachata.Refusal](err)
			if !ok || !strings.Contains(refused.Reason, tt.reason) || id != (bachata.Identity{}) {
				t.Errorf("authenticate = %+v, %v, want a refusal with %q", id, err, tt.reason)
			}
			if len(tt.token) > 10 && err != nil && strings.Contains(err.Error(), tt.token[:10]) {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
}

func replaceClaims(token, claims string) string {
	parts := strings.Split(token, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(claims))
	return strings.Join(parts, ".")
}

func TestTokenCarriers(t *testing.T) {
	t.Parallel()
	token := signed(t, jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": "anna"})
	other := signed(t, jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": "bob"})
	checker := newTokens("HS256", secret, now)
	for _, tt := range []struct {
		name, query string
		header      http.Header
		want        string // channel; empty: refused
	}{
		{"header", "", http.Header{"Authorization": {"Bearer " + token}}, "anna"},
		{"header in lower case", "", http.Header{"Authorization": {"bearer " + token}}, "anna"},
		{"subprotocol", "", http.Header{"Sec-Websocket-Protocol": {"bachata, bearer." + token}}, "anna"},
		{"subprotocol in a line of its own", "", http.Header{"Sec-Websocket-Protocol": {"bachata", "bearer." + token}}, "anna"},
		{"the header comes first", "", http.Header{"Authorization": {"Bearer " + token}, "Sec-Websocket-Protocol": {"bearer." + other}}, "anna"},
		{"a bad header is not made good by a subprotocol", "", http.Header{"Authorization": {"Bearer x"}, "Sec-Websocket-Protocol": {"bearer." + token}}, ""},
		{"the channel named as well", "?channel=anna", http.Header{"Authorization": {"Bearer " + token}}, "anna"},
		{"another channel", "?channel=bob", http.Header{"Authorization": {"Bearer " + token}}, ""},
		{"in the query", "?token=" + token + "&access_token=" + token + "&channel=anna", nil, ""},
		{"basic", "", http.Header{"Authorization": {"Basic " + token}}, ""},
		{"a channel alone", "?channel=anna", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/messages"+tt.query, nil)
			if tt.header != nil {
				r.Header = tt.header
			}
			id, err := checker.authenticate(r)
			if (err == nil) != (tt.want != "") || id.Channel != tt.want {
				t.Errorf("authenticate = %q, %v, want %q", id.Channel, err, tt.want)
			}
			if tt.name == "another channel" && !errors.Is(err, bachata.ErrNotAllowed) {
				t.Errorf("error %v is not ErrNotAllowed", err)
			}
		})
	}
}

func TestLoadTokens(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaFile, _ := pemFile(t, &rsaKey.PublicKey)
	edFile, _ := pemFile(t, edPublic)
	ecFile, _ := pemFile(t, &ecKey.PublicKey)
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)})
	missing := filepath.Join(t.TempDir(), "missing")

	for _, tt := range []struct {
		name, flag, file string
		algorithm        string
		wrong            string // part of the error
	}{
		{"secret", "--jwt-secret-file", keyFile(t, append(secret, "\r\n"...)), "HS256", ""},
		{"RSA", "--jwt-public-key-file", rsaFile, "RS256", ""},
		{"RSA as PKCS 1", "--jwt-public-key-file", keyFile(t, pkcs1), "RS256", ""},
		{"Ed25519", "--jwt-public-key-file", edFile, "EdDSA", ""},
		{"short secret", "--jwt-secret-file", keyFile(t, []byte("password\n")), "", "8 bytes"},
		{"public key as secret", "--jwt-secret-file", rsaFile, "", "--jwt-public-key-file"},
		{"secret as public key", "--jwt-public-key-file", keyFile(t, secret), "", "PEM"},
		{"private key", "--jwt-public-key-file", keyFile(t, private), "", "PRIVATE KEY"},
		{"ECDSA", "--jwt-public-key-file", ecFile, "", "ECDSA"},
		{"cut off", "--jwt-public-key-file", keyFile(t, []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")), "", "can't be read"},
		{"too large", "--jwt-secret-file", keyFile(t, make([]byte, maxKeyFile+1)), "", "64KiB"},
		{"missing", "--jwt-secret-file", missing, "", "can't be opened"},
		{"a folder", "--jwt-secret-file", t.TempDir(), "", "can't be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := parseOptions([]string{tt.flag, tt.file}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := loadTokens(&o)
			if tt.wrong == "" {
				if err != nil || got.algorithm != tt.algorithm {
					t.Errorf("loadTokens = %+v, %v, want %s", got, err, tt.algorithm)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.Contains(err.Error(), tt.flag) {
				t.Errorf("loadTokens = %v, want an error with %q and %q", err, tt.flag, tt.wrong)
			}
		})
	}
}

func TestOpenChannel(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"?channel=anna": "anna", "?channel=%C3%A9": "é", "": "", "?channel=": "", "?channel=%ff": "",
		"?channel=" + strings.Repeat("x", 255): strings.Repeat("x", 255), "?channel=" + strings.Repeat("x", 256): "",
	} {
		id, err := openChannel(httptest.NewRequest(http.MethodGet, "/messages"+query, nil))
		if id.Channel != want || (err == nil) != (want != "") {
			t.Errorf("openChannel(%q) = %q, %v, want %q", query, id.Channel, err, want)
		}
	}
}

func TestLocalOnly(t *testing.T) {
	t.Parallel()
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for host, want := range map[string]int{
		"localhost:8000": 204, "LOCALHOST": 204, "127.0.0.1:8000": 204, "127.9.9.9": 204, "[::1]:8000": 204, "[::1]": 204,
		"chat.localhost:8000": 204, "rebound.example:8000": 403, "localhost.example": 403, "127.0.0.1.example": 403, "10.0.0.1": 403, "": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		localOnly(ok).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: status %d, want %d", host, w.Code, want)
		}
	}
}

// TestRefusedClientsAreLoggedSparsely has many come with tokens that are no longer good.
func TestRefusedClientsAreLoggedSparsely(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]int{slog.LevelInfo: 3, slog.LevelDebug: 30} {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			refused := &refusedLog{to: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))}
			r := httptest.NewRequest(http.MethodGet, "/messages", http.NoBody)
			for range 30 { // 3 s
				refused.write(r, refusal("the token has expired"))
				time.Sleep(100 * time.Millisecond)
			}
			refused.write(r, refusal("no token"))
			if strings.Count(log.String(), `reason="no token"`) != 1 {
				t.Errorf("another reason was not logged at once:\n%s", log.String())
			}
			if got := strings.Count(log.String(), `reason="the token has expired"`); got != want {
				t.Errorf("at level %v 30 were logged as %d, want %d:\n%s", level, got, want, log.String())
			}
			if level == slog.LevelInfo && strings.Count(log.String(), "suppressed=9") != 2 {
				t.Errorf("the log does not say how many more there were:\n%s", log.String())
			}
		})
	}
}
