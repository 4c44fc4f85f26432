package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"keel/tools/lowercheck/image"
)

// A part is a package of the image.
type part struct {
	name      string
	functions int
	bytes     int // of code
	lines     int // of source that is neither blank nor comment
}

// A group is the packages of one half.
type group struct {
	half  image.Half
	parts []part
}

func (g group) total() part {
	t := part{name: "all of it"}
	for _, p := range g.parts {
		t.add(p)
	}
	return t
}

func (p *part) add(o part) {
	p.functions += o.functions
	p.bytes += o.bytes
	p.lines += o.lines
}

// ring0 counts what is in the image. All of it runs in ring 0.
func ring0(file string) ([]group, error) {
	im, err := image.Open(file)
	if err != nil {
		return nil, err
	}
	byName := map[string]*part{}
	for _, f := range im.Funcs {
		name := f.Package
		if name == "" {
			name = "(made by the linker)"
		}
		if name == "main" {
			name = mainPackage
		}
		p := byName[name]
		if p == nil {
			p = &part{name: name}
			byName[name] = p
		}
		p.functions++
		p.bytes += len(f.Code)
	}
	sources, err := sourceFiles()
	if err != nil {
		return nil, err
	}
	for name, files := range sources {
		p := byName[name]
		if p == nil {
			continue // the linker left nothing of it
		}
		for _, f := range files {
			n, err := countLines(f)
			if err != nil {
				return nil, err
			}
			p.lines += n
		}
	}
	groups := []group{{half: image.Lower}, {half: image.Upper}, {half: image.Depends}, {half: image.Runtime}}
	for _, p := range byName {
		for i := range groups {
			if groups[i].half == image.HalfOf(p.name) {
				groups[i].parts = append(groups[i].parts, *p)
			}
		}
	}
	for _, g := range groups {
		slices.SortFunc(g.parts, func(a, b part) int { return cmp.Compare(a.name, b.name) })
	}
	return groups, nil
}

const mainPackage = "keel/cmd/keel"

// sourceFiles returns the files that each package of the kernel is compiled from.
func sourceFiles() (map[string][]string, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,SFiles", mainPackage)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	files := map[string][]string{}
	for d := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p struct {
			ImportPath, Dir string
			GoFiles, SFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return files, nil
		} else if err != nil {
			return nil, err
		}
		for _, f := range slices.Concat(p.GoFiles, p.SFiles) {
			files[p.ImportPath] = append(files[p.ImportPath], filepath.Join(p.Dir, f))
		}
	}
}

// countLines counts the lines of Go or Go assembly that are neither blank nor comment.
func countLines(path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	comment := false // within /* */
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if comment {
			_, after, closed := strings.Cut(line, "*/")
			if !closed {
				continue
			}
			comment, line = false, strings.TrimSpace(after)
		}
		if strings.HasPrefix(line, "/*") && !strings.Contains(line, "*/") {
			comment = true
			continue
		}
		if line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n, s.Err()
}
