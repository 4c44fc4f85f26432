package main

import "testing"

func TestFirstDependencyIsTheKernelsPackage(t *testing.T) {
	for depends, want := range map[string]string{
		"linux-image-6.1.0-9-cloud-amd64 (= 6.1.27-1)": "linux-image-6.1.0-9-cloud-amd64",
		"linux-image-6.12-cloud-amd64, kmod":           "linux-image-6.12-cloud-amd64",
		"kmod, linux-image-6.12-cloud-amd64":           "",
		"":                                             "",
	} {
		got, err := firstDependency(depends)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", depends, got, err, want)
		}
	}
}
