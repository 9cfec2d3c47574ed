// The service on the standard library: net/http's server, and its Transport to the remote.
//
// Knows both routes of the contract and nothing of limits or metrics. Tokens are gotoken's.
package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"gotoken"
)

const (
	bodyBytesMax   = 1 << 20
	headBytesMax   = 128 << 10 // a token of 64 KiB of data is checked as a header
	connectTimeout = 2 * time.Second
	replyTimeout   = 5 * time.Second
	idleTimeout    = 60 * time.Second
	idleMax        = 1024
	keptBytesMax   = 256 << 10
)

// Values of header fields, made once: nobody changes them.
var (
	jsonType  = []string{"application/json; charset=utf-8"}
	plainJSON = []string{"application/json"}
	noStore   = []string{"no-store"}
	challenge = []string{`Bearer error="invalid_token"`}
)

// buffers are for bodies: of requests, replies and answers.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func buffer() *bytes.Buffer {
	taken := buffers.Get().(*bytes.Buffer)
	taken.Reset()
	return taken
}

func free(taken *bytes.Buffer) {
	if taken.Cap() <= keptBytesMax {
		buffers.Put(taken)
	}
}

type service struct {
	tokens    *gotoken.Tokens
	remote    *url.URL
	transport *http.Transport
}

func newService(key string, remote *url.URL) *service {
	dialer := &net.Dialer{Timeout: connectTimeout}
	return &service{tokens: gotoken.New([]byte(key)), remote: remote, transport: &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConns:        idleMax,
		MaxIdleConnsPerHost: idleMax,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}}
}

// getToken passes the login on and signs what comes back.
func (s *service) getToken(writer http.ResponseWriter, request *http.Request) {
	body := buffer()
	defer free(body)
	if _, err := body.ReadFrom(http.MaxBytesReader(writer, request.Body, bodyBytesMax)); err != nil {
		fail(writer, http.StatusBadRequest, "Request body is too long, or cut short.")
		return
	}
	if !gotoken.IsJSON(body.Bytes()) {
		fail(writer, http.StatusBadRequest, "Request body is not valid JSON.")
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), replyTimeout)
	defer cancel()
	response, err := s.transport.RoundTrip(s.login(ctx, body.Bytes()))
	if err != nil {
		fail(writer, http.StatusInternalServerError, "Remote post failure.")
		return
	}
	defer response.Body.Close()
	text := buffer()
	defer free(text)
	if _, err := text.ReadFrom(response.Body); err != nil {
		fail(writer, http.StatusInternalServerError, "Remote post failed to parse body.")
		return
	}
	if response.StatusCode != http.StatusOK {
		fail(writer, http.StatusInternalServerError, "Remote post status failure.")
		return
	}
	reply := gotoken.Object(text.Bytes())
	if reply == nil {
		fail(writer, http.StatusInternalServerError, "Can not unmarshal returned json.")
		return
	}
	answer := buffer()
	defer free(answer)
	respond(writer, http.StatusOK, s.tokens.Issue(answer.AvailableBuffer(), reply))
}

// login makes the request to the remote.
func (s *service) login(ctx context.Context, body []byte) *http.Request {
	request := &http.Request{
		Method: http.MethodPost,
		URL:    s.remote,
		Host:   s.remote.Host,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Authorization": {s.tokens.Bearer()},
			"Content-Type":  plainJSON,
			"Accept":        plainJSON,
			"User-Agent":    nil, // none
			// Without a value it is not sent. With it the Transport repeats a request whose connection the remote
			// had closed while it was idle.
			"Idempotency-Key": {},
		},
		Body:          io.NopCloser(bytes.NewReader(body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		ContentLength: int64(len(body)),
	}
	return request.WithContext(ctx)
}

// checkToken verifies a token and returns its claims.
func (s *service) checkToken(writer http.ResponseWriter, request *http.Request) {
	token := strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")
	answer := buffer()
	defer free(answer)
	verdict, err := s.tokens.Check(answer.AvailableBuffer(), []byte(token))
	if err != nil {
		writer.Header()["Www-Authenticate"] = challenge
		respond(writer, http.StatusUnauthorized, []byte(`{"error":"`+err.Error()+`"}`))
		return
	}
	respond(writer, http.StatusOK, verdict)
}

func fail(writer http.ResponseWriter, status int, message string) {
	respond(writer, status, []byte(`{"message":"`+message+`"}`))
}

func respond(writer http.ResponseWriter, status int, body []byte) {
	header := writer.Header()
	header["Content-Type"] = jsonType
	header["Cache-Control"] = noStore
	header["Content-Length"] = []string{strconv.Itoa(len(body))} // a longer one would be chunked
	writer.WriteHeader(status)
	_, _ = writer.Write(body) // if the client is gone, the server notices
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--versions" {
		gotoken.PrintVersions("github.com/golang-jwt/jwt/v5", "github.com/valyala/fastjson")
		return
	}
	remote, err := url.Parse(os.Getenv("REMOTE"))
	if err != nil {
		log.Fatal(err)
	}
	host := os.Getenv("HOST")
	if host == "" {
		host = "127.0.0.1"
	}
	service := newService(os.Getenv("KEY"), remote)
	routes := http.NewServeMux()
	routes.HandleFunc("POST /getToken", service.getToken)
	routes.HandleFunc("GET /checkToken", service.checkToken)
	routes.HandleFunc("POST /checkToken", service.checkToken)
	server := &http.Server{
		Addr:           net.JoinHostPort(host, os.Getenv("PORT")),
		Handler:        routes,
		MaxHeaderBytes: headBytesMax,
	}
	log.Fatal(server.ListenAndServe())
}
