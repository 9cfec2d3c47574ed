module go_nethttp

go 1.26

require gotoken v0.0.0

require (
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/valyala/fastjson v1.6.10 // indirect
)

replace gotoken => ../shared/gotoken
