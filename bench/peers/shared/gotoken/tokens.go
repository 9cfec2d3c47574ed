// Package gotoken has HS256 tokens around JSON texts, for the peers in Go: sign a remote's reply, verify a token and
// describe it. It knows the answers of both routes, no HTTP. JSON is validated and passed on as the text that it is.
package gotoken

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/valyala/fastjson"
)

const (
	headerText = `{"alg":"HS256","typ":"JWT"}`
	// headerText, encoded.
	header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
	// `{"data":{`, encoded. Nine bytes are three groups, so what follows an object's brace is encoded by itself.
	opening     = "eyJkYXRhIjp7"
	group       = 3
	tagEncoded  = 43
	ttlS        = 12 * 3600
	bearerTTLS  = 300
	bearerStart = "Bearer "
)

// The strict encoding: of the texts for the same bytes it takes one.
var encoding = base64.RawURLEncoding.Strict()

// What a 401 says, where golang-jwt has no text for it.
var (
	errMissing   = errors.New("no token present in request")
	errSegments  = errors.New("token contains an invalid number of segments")
	errAlgorithm = errors.New("signing method (alg) is unavailable.")
	errNoExpiry  = errors.New("token has no expiry")
)

// A signer is a MAC with the key's inner and outer states, and room for a tag.
type signer struct {
	mac hash.Hash
	tag [sha256.Size]byte
}

// Tokens signs and verifies with one key. It can be used by several goroutines.
type Tokens struct {
	signers sync.Pool
	parsers fastjson.ParserPool

	lock         sync.Mutex
	bearer       string
	bearerSecond int64
}

// New prepares a key.
func New(key []byte) *Tokens {
	return &Tokens{signers: sync.Pool{New: func() any {
		mac := hmac.New(sha256.New, key)
		mac.Reset() // from now on it resets to states, not to the key
		return &signer{mac: mac}
	}}}
}

// IsJSON reports whether a text is JSON of any kind.
func IsJSON(text []byte) bool {
	return fastjson.ValidateBytes(text) == nil && utf8.Valid(text)
}

// Object returns a text that is a JSON object without the blanks around it, or nil if it is none.
func Object(text []byte) json.RawMessage {
	text = bytes.Trim(text, " \t\r\n")
	if len(text) == 0 || text[0] != '{' || !IsJSON(text) {
		return nil
	}
	return text
}

// Bearer returns the value of Authorization for the remote. It is signed once a second.
func (t *Tokens) Bearer() string {
	now := time.Now().Unix()
	t.lock.Lock()
	defer t.lock.Unlock()
	if now != t.bearerSecond {
		text := encoding.AppendEncode([]byte(bearerStart+header+"."),
			[]byte(`{"data":{"service":"bench"},"exp":`+strconv.FormatInt(now+bearerTTLS, 10)+`}`))
		t.bearer, t.bearerSecond = string(t.sign(text, len(bearerStart))), now
	}
	return t.bearer
}

// Issue appends the answer to a login: `{"token":"…"}`. The reply is an object, and is encoded where it stands.
func (t *Tokens) Issue(answer []byte, reply json.RawMessage) []byte {
	data := reply[1:]
	groups := len(data) / group * group
	answer = append(answer, `{"token":"`...)
	start := len(answer)
	answer = append(answer, header+"."+opening...)
	answer = encoding.AppendEncode(answer, data[:groups])
	var room [48]byte
	last := append(room[:0], data[groups:]...)
	last = append(last, `,"exp":`...)
	last = strconv.AppendInt(last, time.Now().Unix()+ttlS, 10)
	answer = encoding.AppendEncode(answer, append(last, '}'))
	return append(t.sign(answer, start), `"}`...)
}

// Check verifies a token and appends the body of the 200. The error's text is for the 401.
func (t *Tokens) Check(answer, token []byte) ([]byte, error) {
	if len(token) == 0 {
		return answer, errMissing
	}
	last := bytes.LastIndexByte(token, '.')
	first := bytes.IndexByte(token, '.')
	if first == last || bytes.IndexByte(token[first+1:last], '.') >= 0 {
		return answer, errSegments
	}
	answer = append(answer, `{"Raw":"`...)
	answer = append(answer, token...)
	answer = append(answer, `","Method":{"Name":"HS256","Hash":5},"Header":`...)
	if string(token[:first]) == header {
		answer = append(answer, headerText...)
	} else {
		start := len(answer)
		var err error
		if answer, err = encoding.AppendDecode(answer, token[:first]); err != nil {
			return answer, jwt.ErrTokenMalformed
		}
		if err := checkHeader(answer[start:]); err != nil {
			return answer, err
		}
	}
	if !t.isSigned(token[:last], token[last+1:]) {
		return answer, jwt.ErrSignatureInvalid
	}
	answer = append(answer, `,"Claims":`...)
	start := len(answer)
	answer, err := encoding.AppendDecode(answer, token[first+1:last])
	if err != nil {
		return answer, jwt.ErrTokenMalformed
	}
	if err := t.checkClaims(answer[start:]); err != nil {
		return answer, err
	}
	answer = append(answer, `,"Signature":"`...)
	answer = append(answer, token[last+1:]...)
	return append(answer, `","Valid":true}`...), nil
}

// checkHeader judges a header that is not the one of our own tokens.
func checkHeader(text []byte) error {
	var found struct {
		Alg  string          `json:"alg"`
		Crit json.RawMessage `json:"crit"`
	}
	if Object(text) == nil || json.Unmarshal(text, &found) != nil || found.Crit != nil {
		return jwt.ErrTokenMalformed
	}
	if found.Alg != jwt.SigningMethodHS256.Name {
		return errAlgorithm
	}
	return nil
}

func (t *Tokens) checkClaims(text []byte) error {
	parser := t.parsers.Get()
	defer t.parsers.Put(parser)
	value, err := parser.ParseBytes(text)
	if err != nil || value.Type() != fastjson.TypeObject || !utf8.Valid(text) {
		return jwt.ErrTokenMalformed
	}
	now := float64(time.Now().Unix())
	expires, err := numeric(value.Get("exp"))
	if err != nil {
		return err
	}
	begins, err := numeric(value.Get("nbf"))
	switch {
	case err != nil:
		return err
	case math.IsNaN(expires):
		return errNoExpiry
	case expires <= now:
		return jwt.ErrTokenExpired
	case begins > now:
		return jwt.ErrTokenNotValidYet
	}
	return nil
}

// numeric returns a NumericDate, or NaN where there is none.
func numeric(value *fastjson.Value) (float64, error) {
	if value == nil {
		return math.NaN(), nil
	}
	number, err := value.Float64()
	if err != nil {
		return 0, jwt.ErrTokenMalformed
	}
	return number, nil
}

// sign appends dot and signature to the text from start on.
func (t *Tokens) sign(text []byte, start int) []byte {
	with := t.signers.Get().(*signer)
	tag := with.sum(text[start:])
	text = encoding.AppendEncode(append(text, '.'), tag)
	t.signers.Put(with)
	return text
}

func (t *Tokens) isSigned(text, signature []byte) bool {
	if len(signature) != tagEncoded {
		return false
	}
	var room [sha256.Size]byte
	given, err := encoding.AppendDecode(room[:0], signature)
	if err != nil {
		return false
	}
	with := t.signers.Get().(*signer)
	isEqual := hmac.Equal(given, with.sum(text))
	t.signers.Put(with)
	return isEqual
}

func (s *signer) sum(text []byte) []byte {
	s.mac.Reset()
	s.mac.Write(text)
	return s.mac.Sum(s.tag[:0])
}
