package exit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func TestEachCodeMeansOneThing(t *testing.T) {
	seen := map[int]bool{}
	for _, c := range Codes {
		if seen[c.Code] || c.Name == "" || c.Text == "" {
			t.Errorf("%+v", c)
		}
		seen[c.Code] = true
	}
	refused := func(code api.Code) error {
		return &client.Refused{Host: "keel-1", Status: code.Status(), Answer: &api.Error{Code: code, Message: "no"}}
	}
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, OK},
		{errors.New("x"), Fault},
		{Errorf(Usage, "x"), Usage},
		{With(Conflict, fmt.Errorf("x: %w", refused(api.CodeDenied))), Conflict},
		{With(Conflict, nil), OK},
		{refused(api.CodeNotFound), NotFound},
		{refused(api.CodeDenied), Denied},
		{refused(api.CodeExists), Conflict},
		{refused(api.CodeHeld), Conflict},
		{refused(api.CodeStale), Conflict},
		{refused(api.CodeTimeout), Timeout},
		{refused(api.CodeFull), Fault},
		{refused(api.CodeCollector), Fault},
		{&client.Refused{Status: http.StatusTeapot, Answer: &api.Error{}}, Fault},
		{fmt.Errorf("x: %w", &client.Failure{Kind: client.Unreachable}), Unreachable},
		{&client.Failure{Kind: client.Denied}, Denied},
		{&client.Failure{Kind: client.Timeout}, Timeout},
		{&client.Failure{Kind: client.Broken}, Fault},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), Timeout},
		{context.Canceled, Interrupted},
	} {
		if got := Code(test.err); got != test.want || test.want != Fault && !seen[got] {
			t.Errorf("%#v: %d, want %d", test.err, got, test.want)
		}
	}
}
