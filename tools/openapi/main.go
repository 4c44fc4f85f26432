package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"

	"keel/vmkernel/api"
)

type object = map[string]any

func main() {
	out := flag.String("o", "openapi.json", "file to write")
	flag.Parse()
	// go generate runs in vmkernel/api.
	text, err := document(".", "../seed")
	if err == nil {
		err = os.WriteFile(*out, text, 0o666)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

// document returns the document; folders are those of the packages whose types it describes.
func document(folders ...string) ([]byte, error) {
	said, err := comments(folders...)
	if err != nil {
		return nil, err
	}
	s := &schemas{said: said, made: object{}}
	paths := object{}
	for i := range api.Routes {
		r := &api.Routes[i]
		path, _ := paths[r.Pattern].(object)
		if path == nil {
			path = object{}
			paths[r.Pattern] = path
		}
		path[strings.ToLower(r.Method)] = operation(s, r)
	}
	failed := s.ref(api.ErrorBody{}, false)
	text, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Keel", "version": "v1",
			"description": "The management door of a Keel host. TLS 1.3 with a client certificate, whose role says what may be called. " +
				"Requests with fields that the host doesn't know are refused by their name; clients ignore fields of answers that they don't know.",
		},
		"servers":  []object{{"url": "https://{host}", "variables": object{"host": object{"default": "keel"}}}},
		"security": []object{{"certificate": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas":         s.made,
			"securitySchemes": object{"certificate": object{"type": "mutualTLS"}},
			"responses":       object{"Error": object{"description": "What was wrong", "content": content("application/json", failed)}},
		},
	}, "", " ")
	return append(text, '\n'), err
}

var variable = regexp.MustCompile(`\{(\w+)\}`)

func operation(s *schemas, r *api.Route) object {
	success, answer := r.Status, object{"description": "Done"}
	if success == 0 {
		success = http.StatusOK
	}
	var params []object
	for _, name := range variable.FindAllStringSubmatch(r.Pattern, -1) {
		params = append(params, object{"name": name[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range r.Query {
		schema := object{"type": p.Type}
		if p.Type == "duration" {
			schema = object{"type": "string", "examples": []string{"30s"}}
		}
		params = append(params, object{"name": p.Name, "in": "query", "description": p.Help, "schema": schema})
	}
	if r.Match {
		params = append(params, header("If-Match", "the ETag of what is to be changed", "string"))
	}
	op := object{
		"operationId": r.Name, "summary": r.Summary,
		"x-keel-roles": append([]string{}, r.Roles.Names()...),
		"x-keel-scope": [...]string{"host", "free", "vm", "seen"}[r.Scope],
		"x-keel-audit": [...]string{"read", "stop", "repair", "change"}[r.Class],
	}
	if r.Roles == api.Stranger {
		op["security"] = []object{{}}
	}
	if r.In != nil {
		op["requestBody"] = object{"required": true, "content": content("application/json", s.ref(r.In, true))}
	}
	switch r.Kind {
	case api.Upload:
		params = append(params, header(api.UploadOffset, "where these bytes belong", "integer"))
		op["requestBody"] = object{"required": true, "content": content("application/octet-stream", object{})}
		answer["content"] = content("application/json", s.ref(r.Out, false))
	case api.Raw:
		answer["content"] = content(r.Media, object{})
	case api.Stream:
		answer["content"] = content(api.MediaLines, s.ref(r.Out, false))
	case api.WebSocket:
		success, answer = http.StatusSwitchingProtocols, object{"description": "WebSocket " + api.ConsoleProtocol}
	default:
		if r.Out != nil {
			answer["content"] = content("application/json", s.ref(r.Out, false))
		}
	}
	responses := object{strconv.Itoa(success): answer, "default": object{"$ref": "#/components/responses/Error"}}
	if success == http.StatusAccepted || success == http.StatusCreated {
		responses["200"] = answer // it was done already, or before the answer
	}
	if params != nil {
		op["parameters"] = params
	}
	op["responses"] = responses
	return op
}

func header(name, help, kind string) object {
	return object{"name": name, "in": "header", "required": true, "description": help, "schema": object{"type": kind}}
}

func content(media string, schema object) object {
	return object{media: object{"schema": schema}}
}
