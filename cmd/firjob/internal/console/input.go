package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ReadFile reads a file, or standard input for "-".
func (p *Process) ReadFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(p.Stdin)
	}
	return os.ReadFile(name)
}

// ReadJob reads a file that holds a job, or a patch of one, as the API takes it.
// Its numbers keep their digits.
func (p *Process) ReadJob(name string) (map[string]any, error) {
	text, err := p.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the job: %w", err)
	}
	job, err := ObjectOf(text)
	if err != nil {
		return nil, Usagef("%s does not hold a JSON object: %w", name, err)
	}
	return job, nil
}

// ObjectOf reads one JSON object. Its numbers keep their digits.
func ObjectOf(text []byte) (map[string]any, error) {
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

// Params reads the value of --params: JSON, or @ and the name of a file of it.
func (p *Process) Params(text string) (json.RawMessage, error) {
	raw := []byte(text)
	if name, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if raw, err = p.ReadFile(name); err != nil {
			return nil, fmt.Errorf("read the params: %w", err)
		}
	}
	if !json.Valid(raw) {
		return nil, Usagef(`--params is not JSON; want a value such as '{"region": "eu"}' or @params.json`)
	}
	return raw, nil
}
