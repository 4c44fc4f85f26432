// Openapi writes the OpenAPI 3.1 document of Keel's door from the table of routes and the Go types that it names;
// descriptions are the fields' comments.
//
// The rule: nothing is said in the document that isn't in the code. `go generate ./vmkernel/api` calls it, and its test
// fails when the document that the server hands out is another.
package main
