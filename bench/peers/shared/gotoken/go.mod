module gotoken

go 1.26

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/valyala/fastjson v1.6.10
)
