package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// readFile reads a file, or standard input for "-".
func (p *process) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(p.stdin)
	}
	return os.ReadFile(name)
}

// readJob reads a file that holds a job, or a patch of one, as the API takes it.
// Its numbers keep their digits.
func (p *process) readJob(name string) (map[string]any, error) {
	text, err := p.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the job: %w", err)
	}
	job, err := objectOf(text)
	if err != nil {
		return nil, usagef("%s does not hold a JSON object: %w", name, err)
	}
	return job, nil
}

// objectOf reads one JSON object. Its numbers keep their digits.
func objectOf(text []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, err
	}
	if dec.More() || object == nil {
		return nil, errors.New("want one object")
	}
	return object, nil
}

// params reads the value of --params: JSON, or @ and the name of a file of it.
func (p *process) params(text string) (json.RawMessage, error) {
	raw := []byte(text)
	if name, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if raw, err = p.readFile(name); err != nil {
			return nil, fmt.Errorf("read the params: %w", err)
		}
	}
	if !json.Valid(raw) {
		return nil, usagef(`--params is not JSON; want a value such as '{"region": "eu"}' or @params.json`)
	}
	return raw, nil
}
