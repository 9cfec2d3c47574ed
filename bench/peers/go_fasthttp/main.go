// The service on fasthttp, its server and its client.
//
// Knows both routes of the contract and nothing of limits or metrics. Tokens are gotoken's.
package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"gotoken"
)

const (
	jsonType       = "application/json; charset=utf-8"
	bodyBytesMax   = 1 << 20
	headBytesMax   = 128 << 10 // a token of 64 KiB of data is checked as a header
	connectTimeout = 2 * time.Second
	replyTimeout   = 5 * time.Second
	idleTimeout    = 60 * time.Second
	connectionsMax = 16384 // to the remote
)

// An exchange is one with the remote. It is used again: where it goes to is set once.
type exchange struct {
	request  fasthttp.Request
	response fasthttp.Response
}

type service struct {
	tokens    *gotoken.Tokens
	remote    *fasthttp.HostClient
	exchanges sync.Pool
}

func newService(key string, remote *url.URL) *service {
	address := remote.Host
	if remote.Port() == "" {
		address = net.JoinHostPort(remote.Hostname(), "80")
	}
	made := &service{tokens: gotoken.New([]byte(key)), remote: &fasthttp.HostClient{
		Addr:                          address,
		Dial:                          func(address string) (net.Conn, error) { return fasthttp.DialDualStackTimeout(address, connectTimeout) },
		MaxConns:                      connectionsMax,
		MaxIdleConnDuration:           idleTimeout,
		ReadTimeout:                   replyTimeout,
		NoDefaultUserAgentHeader:      true,
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
		MaxIdemponentCallAttempts:     2,
	}}
	made.remote.RetryIfErr = made.retries
	made.exchanges.New = func() any {
		made := new(exchange)
		made.request.SetRequestURI(remote.String())
		made.request.Header.SetMethod(fasthttp.MethodPost)
		made.request.Header.SetContentType("application/json")
		made.request.Header.Set(fasthttp.HeaderAccept, "application/json")
		return made
	}
	return made
}

// retries decides about a second try. fasthttp does not watch idle connections: if the remote has closed one, it has
// probably closed all, so the second try is on a new one.
func (s *service) retries(_ *fasthttp.Request, _ int, err error) (bool, bool) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return false, false
	}
	s.remote.CloseIdleConnections()
	return false, true
}

func (s *service) answer(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType(jsonType)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	switch string(ctx.Path()) {
	case "/getToken":
		if !ctx.IsPost() {
			notAllowed(ctx, "POST")
			return
		}
		s.getToken(ctx)
	case "/checkToken":
		if !ctx.IsGet() && !ctx.IsPost() {
			notAllowed(ctx, "GET, POST")
			return
		}
		s.checkToken(ctx)
	default:
		fail(ctx, fasthttp.StatusNotFound, "Not found.")
	}
}

// getToken passes the login on and signs what comes back.
func (s *service) getToken(ctx *fasthttp.RequestCtx) {
	body := ctx.Request.Body()
	if !gotoken.IsJSON(body) {
		fail(ctx, fasthttp.StatusBadRequest, "Request body is not valid JSON.")
		return
	}
	asked := s.exchanges.Get().(*exchange)
	defer s.exchanges.Put(asked)
	asked.request.SetBodyRaw(body)
	asked.request.Header.Set(fasthttp.HeaderAuthorization, s.tokens.Bearer())
	if err := s.remote.Do(&asked.request, &asked.response); err != nil {
		fail(ctx, fasthttp.StatusInternalServerError, "Remote post failure.")
		return
	}
	if asked.response.StatusCode() != fasthttp.StatusOK {
		fail(ctx, fasthttp.StatusInternalServerError, "Remote post status failure.")
		return
	}
	reply := gotoken.Object(asked.response.Body())
	if reply == nil {
		fail(ctx, fasthttp.StatusInternalServerError, "Can not unmarshal returned json.")
		return
	}
	// The body's own buffer, which fasthttp keeps for the next answer.
	ctx.Response.SwapBody(s.tokens.Issue(ctx.Response.SwapBody(nil)[:0], reply))
}

// checkToken verifies a token and returns its claims.
func (s *service) checkToken(ctx *fasthttp.RequestCtx) {
	token := ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)
	if len(token) > len("Bearer ") && string(token[:len("Bearer ")]) == "Bearer " {
		token = token[len("Bearer "):]
	}
	verdict, err := s.tokens.Check(ctx.Response.SwapBody(nil)[:0], token)
	ctx.Response.SwapBody(verdict)
	if err != nil {
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, `Bearer error="invalid_token"`)
		ctx.SetStatusCode(fasthttp.StatusUnauthorized)
		ctx.SetBodyString(`{"error":"` + err.Error() + `"}`)
	}
}

func notAllowed(ctx *fasthttp.RequestCtx, methods string) {
	ctx.Response.Header.Set(fasthttp.HeaderAllow, methods)
	fail(ctx, fasthttp.StatusMethodNotAllowed, "Method not allowed.")
}

func fail(ctx *fasthttp.RequestCtx, status int, message string) {
	ctx.SetStatusCode(status)
	ctx.SetBodyString(`{"message":"` + message + `"}`)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--versions" {
		gotoken.PrintVersions("github.com/golang-jwt/jwt/v5", "github.com/valyala/fastjson", "github.com/valyala/fasthttp")
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
	listener, err := net.Listen("tcp", net.JoinHostPort(host, os.Getenv("PORT")))
	if err != nil {
		log.Fatal(err)
	}
	server := &fasthttp.Server{
		Handler:                      newService(os.Getenv("KEY"), remote).answer,
		ReadBufferSize:               headBytesMax,
		MaxRequestBodySize:           bodyBytesMax,
		NoDefaultServerHeader:        true,
		DisablePreParseMultipartForm: true,
		LazyRequestTime:              true,
	}
	log.Fatal(server.Serve(listener))
}
