package api

import _ "embed"

//go:generate go run ../../tools/openapi -o openapi.json

// OpenAPI is the door's description (OpenAPI 3.1), made from Routes and this package's types.
//
//go:embed openapi.json
var OpenAPI []byte
