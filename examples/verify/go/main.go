// Verify reads tokens, one a line, and prints `valid SUB` or `invalid REASON` for each. keyfunc holds the keys of the JWKS.
//
// JWKS_URL (https, but on your own machine), ISSUER and AUDIENCE are required. ALGORITHMS names what your issuer signs with.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// Never HS256: its secret would have to be published.
var asymmetric = []string{"ES256", "RS256", "PS256", "EdDSA"}

// Verifier checks tokens. Make one for the whole process.
type Verifier struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
}

// NewVerifier fetches the JWKS. It is fetched again every hour, and for an unknown kid once in 5 minutes.
func NewVerifier(ctx context.Context, url, issuer, audience string, algorithms []string) (*Verifier, error) {
	for _, name := range algorithms {
		if !slices.Contains(asymmetric, name) {
			return nil, fmt.Errorf("%q is not one of %v", name, asymmetric)
		}
	}
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{url}, keyfunc.Override{
		HTTPTimeout:      5 * time.Second,
		RateLimitWaitMax: 5 * time.Second, // else a token with an unknown kid may wait for a minute
	})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods(algorithms),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(time.Minute),
	)
	return &Verifier{keys, parser}, nil
}

// Verify gives back the claims of a valid token, or why it is not valid.
func (v *Verifier) Verify(token string) (*jwt.RegisteredClaims, error) {
	claims := &jwt.RegisteredClaims{}
	if _, err := v.parser.ParseWithClaims(token, claims, v.key); err != nil {
		return nil, err
	}
	if claims.Subject == "" {
		return nil, errors.New("token has no sub")
	}
	return claims, nil
}

func (v *Verifier) key(token *jwt.Token) (any, error) {
	if _, ok := token.Header["crit"]; ok { // golang-jwt does not look at it
		return nil, errors.New("critical extensions are not supported")
	}
	return v.keys.Keyfunc(token)
}

func required(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatal(name, " is required") // an empty issuer would not be checked at all
	}
	return value
}

func main() {
	algorithms := os.Getenv("ALGORITHMS")
	if algorithms == "" {
		algorithms = "ES256"
	}
	verifier, err := NewVerifier(context.Background(), required("JWKS_URL"), required("ISSUER"), required("AUDIENCE"),
		strings.Split(algorithms, ","))
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		claims, err := verifier.Verify(strings.TrimSpace(lines.Text()))
		if err != nil {
			// Put on one line: it may quote the token's header, which anyone can write.
			fmt.Println("invalid", strings.Join(strings.Fields(err.Error()), " "))
			continue
		}
		fmt.Println("valid", claims.Subject)
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
