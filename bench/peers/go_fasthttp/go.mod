module go_fasthttp

go 1.26.0

require (
	github.com/valyala/fasthttp v1.78.0
	gotoken v0.0.0
)

require (
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fastjson v1.6.10 // indirect
)

replace gotoken => ../shared/gotoken
